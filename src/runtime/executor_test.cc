// Running plans: where results stand in memory, sizes that change or that the data decides, control flow.
#include "ir/interpreter.h"
#include "runtime/testing.h"

namespace tenon {
namespace {

using namespace tenon::testing;

class Executor : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Context> open_text(std::string_view text) { return open(text, GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Devices, Executor, ::testing::Values("reference", "cpu"), [](auto& p) { return std::string(p.param); });

TEST_P(Executor, ShapesMayChangeFromRunToRun) {
  auto c = open_text(R"(graph "g" (%x: f32[n, m]) -> (%y, %s) {
    %a = Relu(%x)
    %t = Transpose(%a) {perm=[1, 0]}
    %y = MatMul(%a, %t)
    %s = Softmax(%y)
  })");
  ASSERT_TRUE(c);
  // More shapes than the executor remembers, and back to the first.
  for (int64_t n : {3, 1, 8, 2, 5, 7, 11, 4, 6, 9, 3, 0, 3})
    for (int64_t m : {4, 1}) {
      auto y = run(*c, {ramp({n, m})});
      auto want = interpret(c->engine().graph(), {ramp({n, m})});
      ASSERT_TRUE(want.ok());
      ASSERT_EQ(y[0].shape(), (Shape{n, n}));
      for (int64_t i = 0; i < y[0].size(); ++i) {
        EXPECT_NEAR(y[0].at(i), (*want)[0].at(i), 1e-3);
        EXPECT_NEAR(y[1].at(i), (*want)[1].at(i), 1e-5);
      }
    }
}

TEST_P(Executor, TheDataMayDecideSizes) {
  auto c = open_text(R"(graph "g" (%x: f32[n]) -> (%z, %v, %r) {
    %z = NonZero(%x)
    %f = Cast(%z) {to=1}
    %v = Add(%f, %f)
    const %s: i64[1] = [-1]
    %r = Reshape(%v, %s)
  })");
  ASSERT_TRUE(c);
  for (const Doubles& x : {Doubles{0, 1, 0, 2}, Doubles{1, 1, 1, 1}, Doubles{0, 0, 0, 0}, Doubles{5}, Doubles{}, Doubles{0, 1, 0, 2}}) {
    Doubles want;
    for (size_t i = 0; i < x.size(); ++i)
      if (x[i] != 0) want.push_back(double(i));
    auto y = run(*c, {floats(x)});
    ASSERT_EQ(y[0].shape(), (Shape{1, int64_t(want.size())}));
    EXPECT_EQ(y[0].to_doubles(), want);
    for (double& w : want) w *= 2;
    EXPECT_EQ(y[1].to_doubles(), want);
    EXPECT_EQ(y[2].to_doubles(), want);
    EXPECT_EQ(y[2].shape(), (Shape{int64_t(want.size())}));
  }
}

TEST_P(Executor, TheDataMayDecideWhereASliceBegins) {
  auto c = open_text(R"(graph "g" (%x: f32[n], %from: i64[1], %to: i64[1]) -> (%y, %z) {
    %s = Slice(%x, %from, %to)
    %y = Neg(%s)
    %z = Concat(%s, %x) {axis=0}
  })");
  ASSERT_TRUE(c);
  const Tensor x = floats({1, 2, 3, 4});
  for (int64_t from : {0, 1, 3, 1, 4})
    for (int64_t to : {4, 2, 0}) {
      auto y = run(*c, {x, Tensor::of_ints({from}), Tensor::of_ints({to})});
      Doubles want;
      for (int64_t i = from; i < to; ++i) want.push_back(-double(i + 1));
      EXPECT_EQ(y[0].to_doubles(), want) << from << " " << to;
      EXPECT_EQ(y[1].size(), int64_t(want.size()) + 4);
    }
}

TEST_P(Executor, OutputsMayBeViewsInputsConstantsOrTheSameValue) {
  auto c = open_text(R"(graph "g" (%x: f32[n, 2]) -> (%flat, %x, %k, %r "first", %r "second", %rv) {
    const %k: f32[3] = [1.0, 2.0, 3.0]
    const %s: i64[1] = [-1]
    %flat = Reshape(%x, %s)
    %r = Relu(%x)
    %rv = Reshape(%r, %s)
  })");
  ASSERT_TRUE(c);
  for (int64_t n : {2, 1, 3}) {
    const Tensor x = ramp({n, 2});
    auto y = run(*c, {x});
    EXPECT_EQ(y[0].shape(), (Shape{2 * n}));
    EXPECT_EQ(y[0].to_doubles(), x.to_doubles());
    EXPECT_TRUE(y[1].identical(x));
    EXPECT_NE(y[1].data(), x.data());  // a result is the caller's own
    EXPECT_EQ(y[2].to_doubles(), (Doubles{1, 2, 3}));
    EXPECT_TRUE(y[3].identical(y[4]));
    EXPECT_NE(y[3].data(), y[4].data());
    EXPECT_EQ(y[5].to_doubles(), y[3].to_doubles());
    // Results do not change with the next run.
    const Doubles before = y[3].to_doubles();
    run(*c, {ramp({5, 2})});
    EXPECT_EQ(y[3].to_doubles(), before);
  }
}

TEST_P(Executor, OutputsAreWrittenWhereTheCallerWants) {
  auto c = open_text(R"(graph "g" (%x: f32[n]) -> (%y, %x, %z) {
    %y = Exp(%x)
    %z = NonZero(%x)
  })");
  ASSERT_TRUE(c);
  for (int round = 0; round < 3; ++round) {
    std::vector<Tensor> out = {Tensor::make(DType::f32, {3}), Tensor::make(DType::f32, {3}), {}};
    const void *y = out[0].data(), *x = out[1].data();
    ASSERT_TRUE(c->run({floats({0, 1, 2})}, out).ok());
    EXPECT_EQ(out[0].data(), y);
    EXPECT_EQ(out[1].data(), x);
    EXPECT_EQ(out[0].at(0), 1);
    EXPECT_EQ(out[1].at(2), 2);
    EXPECT_EQ(out[2].to_doubles(), (Doubles{1, 2}));
  }
  std::vector<Tensor> wrong = {Tensor::make(DType::f32, {4}), {}, {}};
  Status s = c->run({floats({0, 1, 2})}, wrong);
  EXPECT_EQ(s.code(), Code::invalid_argument);
  EXPECT_NE(s.message().find("output 'y' is bound to a f32[4]"), std::string::npos) << s.message();
  wrong = {Tensor::make(DType::i32, {3}), {}, {}};
  EXPECT_FALSE(c->run({floats({0, 1, 2})}, wrong).ok());
  wrong = {{}, {}, Tensor::make(DType::i64, {1, 1})};  // known only when the data is
  EXPECT_FALSE(c->run({floats({0, 1, 2})}, wrong).ok());
}

TEST_P(Executor, NoElementsAndNoDimensions) {
  auto c = open_text(R"(graph "g" (%x: f32[n, 3], %s: f32[]) -> (%y, %r, %t) {
    %y = Mul(%x, %s)
    %r = ReduceSum(%y) {keepdims=0}
    %c = Concat(%y, %x) {axis=0}
    %t = Transpose(%c) {perm=[1, 0]}
  })");
  ASSERT_TRUE(c);
  for (int64_t n : {0, 2, 0}) {
    auto y = run(*c, {ramp({n, 3}), Tensor::scalar_float(2)});
    EXPECT_EQ(y[0].shape(), (Shape{n, 3}));
    EXPECT_EQ(y[1].shape(), Shape{});
    EXPECT_EQ(y[1].at(0), n ? -30 : 0);
    EXPECT_EQ(y[2].shape(), (Shape{3, 2 * n}));
  }
}

TEST_P(Executor, ShapeArithmeticOnTheHost) {
  auto c = open_text(R"(graph "g" (%x: f32[n, m]) -> (%y, %d, %one) {
    %d: i64[2] = tenon.Dims() {dims=["m", "n"]}
    %one: i64[] = tenon.Dims() {dims=["n*m+1"], scalar=1}
    %y: f32[m, n] = Reshape(%x, %d)
  })");
  ASSERT_TRUE(c);
  for (int64_t n : {2, 5}) {
    auto y = run(*c, {ramp({n, 3})});
    EXPECT_EQ(y[0].shape(), (Shape{3, n}));
    EXPECT_EQ(y[1].to_ints(), (std::vector<int64_t>{3, n}));
    EXPECT_EQ(y[2].to_ints(), (std::vector<int64_t>{3 * n + 1}));
    EXPECT_EQ(y[2].rank(), 0);
  }
}

TEST_P(Executor, BranchesOfDifferentShapes) {
  auto c = open_text(R"(graph "g" (%x: f32[n], %c: bool[]) -> (%y, %z) {
    %y = If(%c, %x) {captures=1,
      then_branch=graph "t" (%x: f32[n]) -> (%a) { %a = Neg(%x) },
      else_branch=graph "e" (%x: f32[n]) -> (%a) { %a = Concat(%x, %x) {axis=0} }}
    %z = Abs(%y)
  })");
  ASSERT_TRUE(c);
  for (int i = 0; i < 6; ++i) {
    const int64_t n = 1 + i % 3;
    auto y = run(*c, {ramp({n}), Tensor::scalar_int(i % 2, DType::boolean)});
    EXPECT_EQ(y[1].shape(), (Shape{i % 2 ? n : 2 * n}));
    EXPECT_EQ(y[1].at(0), 5);
    EXPECT_EQ(y[0].at(0), i % 2 ? 5 : -5);
  }
}

TEST_P(Executor, LoopsWhoseValuesGrow) {
  auto c = open_text(R"(graph "g" (%x: f32[n], %m: i64[]) -> (%y, %s) {
    %y, %s = Loop(%m, _, %x, %x) {captures=1,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[k], %x: f32[n]) -> (%on, %w, %t) {
        %on = Identity(%go)
        %w = Concat(%v, %x) {axis=0}
        %t = ReduceSum(%w) {keepdims=0}
      }}
  })");
  ASSERT_TRUE(c);
  for (int64_t rounds : {1, 4, 2, 3})
    for (int64_t n : {1, 3}) {
      auto y = run(*c, {ramp({n}), Tensor::scalar_int(rounds)});
      EXPECT_EQ(y[0].shape(), (Shape{n * (rounds + 1)}));
      EXPECT_EQ(y[1].shape(), (Shape{rounds}));
      EXPECT_EQ(y[1].at(rounds - 1), (rounds + 1) * (n == 1 ? -5 : -12));
    }
}

TEST_P(Executor, FusedNodesRunTheirBody) {
  auto c = open_text(R"(graph "g" (%x: f32[n, 3]) -> (%y) {
    %y: f32[n, 3] = tenon.Fused(%x) {kind="pointwise",
      body=graph "b" (%p: f32[n, 3]) -> (%q) { %o: f32[n, 3] = Relu(%p) %q: f32[n, 3] = Neg(%o) }}
  })");
  ASSERT_TRUE(c);
  for (int64_t n : {1, 4}) EXPECT_EQ(run(*c, {ramp({n, 3})})[0].shape(), (Shape{n, 3}));
  EXPECT_EQ(run(*c, {floats({1, -2, 3}).reshaped({1, 3})})[0].to_doubles(), (Doubles{-1, 0, -3}));
}

TEST_P(Executor, AGraphThatLiesAboutItsShapesIsRefused) {
  // As a damaged or hostile file would: kernels trust what they are bound to.
  for (const char* text : {R"(graph "g" (%x: f32[64]) -> (%y) { %y: f32[1] = Relu(%x) })",
                           R"(graph "g" (%x: f32[n]) -> (%z) { %y: f64[n] = Relu(%x) %z: f64[n] = Neg(%y) })",
                           R"(graph "g" (%x: u8[n]) -> (%z) { %y: f32[n] = Identity(%x) %z: f32[n] = Neg(%y) })",
                           R"(graph "g" (%x: f32[n, 2]) -> (%y) { %y: f32[n] = ReduceMean(%x) {keepdims=0} })",
                           R"(graph "g" (%x: f32[8], %k: i64[1], %e: i64[1]) -> (%y) { %y: f32[2] = Slice(%x, %k, %e) })",
                           R"(graph "g" (%x: f32[8]) -> (%y) { %z: i64[1, k] = NonZero(%x) %y: i64[k] = Neg(%z) })"}) {
    auto engine = load(make_content(text, GetParam()));
    if (!engine.ok()) continue;
    auto c = Context::create(*engine, {1});
    ASSERT_TRUE(c.ok());
    std::vector<Tensor> in, out;
    for (ValueId v : (*engine)->graph().inputs) {
      const DType t = (*engine)->graph().info(v).dtype;
      if (t == DType::i64) in.push_back(Tensor::of_ints({int64_t(in.size()) * 3 - 3}));
      else in.push_back(t == DType::u8 ? Tensor::of_ints({1, 2, 3}, t) : ramp({(*engine)->graph().info(v).shape.size() == 2 ? 4 : (*engine)->graph().info(v).shape[0].is_const() ? (*engine)->graph().info(v).shape[0].constant() : 8}));
      if ((*engine)->graph().info(v).shape.size() == 2) in.back() = ramp({4, 2});
    }
    Status s = (*c)->run(in, out);
    EXPECT_FALSE(s.ok()) << text;
  }
}

}  // namespace
}  // namespace tenon
