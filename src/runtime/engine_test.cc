// Engines and contexts: profiles, limits, errors that name the input, several contexts at once.
#include "runtime/engine.h"

#include <thread>

#include "runtime/testing.h"

namespace tenon {
namespace {

using namespace tenon::testing;

const char* const kNet = R"(graph "g" (%x: f32[batch, 16], %mask: f32[batch, 1]) -> (%y, %z) {
  const %w: f32[16, 32] = random 1
  const %v: f32[32, 8] = random 2
  %a = MatMul(%x, %w)
  %b = Relu(%a)
  %c = MatMul(%b, %v)
  %y = Softmax(%c)
  %z = Mul(%c, %mask)
})";

void expect_error(Context& c, const std::vector<Tensor>& in, Code code, const std::string& text) {
  std::vector<Tensor> out;
  Status s = c.run(in, out);
  EXPECT_EQ(s.code(), code) << s.to_string();
  EXPECT_NE(s.message().find(text), std::string::npos) << s.message();
}

TEST(Context, WrongInputsAreNamed) {
  auto c = open(kNet);
  ASSERT_TRUE(c);
  const Tensor x = ramp({3, 16}), mask = ramp({3, 1});
  run(*c, {x, mask});
  expect_error(*c, {x}, Code::invalid_argument, "takes 2 inputs, 1 are given");
  expect_error(*c, {x, mask, mask}, Code::invalid_argument, "takes 2 inputs, 3 are given");
  expect_error(*c, {ramp({3, 17}), mask}, Code::invalid_argument, "input 'x': shape [3, 17], expected [batch, 16]");
  expect_error(*c, {ramp({3}), mask}, Code::invalid_argument, "input 'x': shape [3]");
  expect_error(*c, {x, ramp({4, 1})}, Code::invalid_argument, "input 'mask': shape [4, 1]");
  expect_error(*c, {x, Tensor::make(DType::f64, {3, 1})}, Code::invalid_argument, "input 'mask' is f64, expected f32");
  run(*c, {x, mask});  // an error leaves the context as it was
}

TEST(Context, ProfilesAreEnforced) {
  EngineContent content = make_content(kNet);
  content.profiles.push_back({{{"batch", {1, 2, 4}}}});
  content.profiles.push_back({{{"batch", {16, 16, 16}}}});
  auto c = open(content);
  ASSERT_TRUE(c);
  for (int64_t n : {1, 4, 16}) run(*c, {ramp({n, 16}), ramp({n, 1})});
  for (int64_t n : {0, 5, 17}) expect_error(*c, {ramp({n, 16}), ramp({n, 1})}, Code::invalid_argument, cat("'batch' is ", n, ", the engine was built for 1 to 4"));
}

TEST(Context, TheWorkspaceLimitIsHonoured) {
  auto c = open(kNet, "cpu", {1, 1 << 20});
  ASSERT_TRUE(c);
  run(*c, {ramp({1, 16}), ramp({1, 1})});
  EXPECT_GT(c->executor().planned_peak(), 0);
  EXPECT_LE(c->executor().planned_lower_bound(), c->executor().planned_peak());
  expect_error(*c, {ramp({100000, 16}), ramp({100000, 1})}, Code::out_of_memory, "the limit is");
  run(*c, {ramp({1, 16}), ramp({1, 1})});
}

TEST(Context, ImpossibleOptionsAreRefused) {
  auto engine = load(make_content(kNet));
  ASSERT_TRUE(engine.ok());
  EXPECT_FALSE(Context::create(*engine, {-1}).ok());
  EXPECT_FALSE(Context::create(*engine, {100000}).ok());
}

TEST(Context, EveryNumberOfThreadsGivesTheSameBits) {
  auto engine = load(make_content(kNet));
  ASSERT_TRUE(engine.ok());
  std::vector<Tensor> first;
  for (int threads : {1, 2, 3}) {
    auto c = Context::create(*engine, {threads});
    ASSERT_TRUE(c.ok());
    EXPECT_EQ((*c)->threads(), threads);
    auto y = run(**c, {ramp({67, 16}), ramp({67, 1})});
    if (first.empty()) first = y;
    for (size_t i = 0; i < y.size(); ++i) EXPECT_TRUE(y[i].identical(first[i])) << threads << " threads";
  }
}

TEST(Context, SeveralRunAtOnceOnThreads) {
  auto engine = load(make_content(R"(graph "g" (%x: f32[n, 16], %m: i64[]) -> (%y, %z) {
    const %w: f32[16, 16] = random 1
    %a = MatMul(%x, %w)
    %y = Loop(%m, _, %a, %w) {captures=1,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[n, 16], %w: f32[16, 16]) -> (%on, %o) {
        %on = Identity(%go)
        %p = MatMul(%v, %w)
        %o = Tanh(%p)
      }}
    %z = NonZero(%x)
  })"));
  ASSERT_TRUE(engine.ok()) << engine.status().to_string();
  std::vector<Tensor> want;
  for (int64_t n = 1; n <= 3; ++n) want.push_back(run(**Context::create(*engine, {1}), {ramp({n, 16}), Tensor::scalar_int(2)})[0]);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      auto c = Context::create(*engine, {1 + int(t) % 2});
      for (int64_t i = 0; c.ok() && i < 12; ++i) {
        const int64_t n = 1 + (i + int64_t(t)) % 3;
        std::vector<Tensor> y;
        if (!(*c)->run({ramp({n, 16}), Tensor::scalar_int(2)}, y).ok() || !y[0].identical(want[size_t(n - 1)])) ++wrong[t];
      }
      if (!c.ok()) ++wrong[t];
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(Context, OutlivesItsEngineHandle) {
  auto engine = load(make_content(kNet));
  ASSERT_TRUE(engine.ok());
  auto c = Context::create(*engine, {1});
  ASSERT_TRUE(c.ok());
  engine = invalid_argument("gone");
  run(**c, {ramp({2, 16}), ramp({2, 1})});
}

TEST(Engine, AForeignTargetIsRefusedWithAReason) {
  EngineContent content = make_content(kNet);
  for (const char* target : {"cpu:mips128", "cuda:sm_90a", "abacus", ""}) {
    content.target = target;
    auto engine = load(content);
    ASSERT_FALSE(engine.ok()) << target;
    EXPECT_FALSE(engine.status().message().empty());
    EXPECT_FALSE(engine.status().remedy().empty()) << engine.status().to_string();
  }
}

}  // namespace
}  // namespace tenon
