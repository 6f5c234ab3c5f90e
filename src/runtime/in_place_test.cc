// Running with operands that stand within each other: the same results as with copies, whoever owns the
// memory.
#include "ir/interpreter.h"
#include "runtime/testing.h"

namespace tenon {
namespace {

using namespace tenon::testing;

class InPlace : public ::testing::TestWithParam<const char*> {
 protected:
  // Runs with each of the shapes, twice around, and expects the interpreter's bits.
  void check(std::string_view text, const std::vector<std::vector<Tensor>>& inputs) {
    context_ = open(text, GetParam());
    ASSERT_TRUE(context_);
    for (int round = 0; round < 2; ++round)
      for (const auto& in : inputs) {
        auto y = run(*context_, in);
        auto want = interpret(context_->engine().graph(), in);
        ASSERT_TRUE(want.ok());
        for (size_t j = 0; j < y.size(); ++j) {
          ASSERT_EQ(y[j].shape(), (*want)[j].shape());
          EXPECT_TRUE(y[j].identical((*want)[j])) << "output " << j << " at " << cat(in[0].shape());
        }
      }
  }
  std::unique_ptr<Context> context_;
};
INSTANTIATE_TEST_SUITE_P(Devices, InPlace, ::testing::Values("reference", "cpu"),
                         [](auto& p) { return std::string(p.param); });

// One image or several, rows that begin at multiples of 16 bytes or do not.
TEST_P(InPlace, ConcatsAtManyShapes) {
  std::vector<std::vector<Tensor>> inputs;
  for (int64_t n : {1, 3, 0, 1})
    for (int64_t m : {4, 5, 1, 64}) inputs.push_back({ramp({n, m, 3}), ramp({n, 2 * m, 3})});
  check(R"(graph "g" (%x: f32[n, m, 3], %z: f32[n, 2*m, 3]) -> (%y, %a2) {
    const %k: f32[1, 1, 3] = [7.0, 8.0, 9.0]
    %a = Relu(%x)
    %b = Neg(%z)
    %c = Concat(%a, %b, %x) {axis=1}
    %d = Abs(%c)
    %e = Concat(%c, %d, %a) {axis=1}
    %y = Neg(%e)
    %a2 = Neg(%a)
  })",
        inputs);
}

TEST_P(InPlace, AClassTokenInFront) {
  check(R"(graph "g" (%x: f32[1, m, 8]) -> (%y) {
    const %token: f32[1, 1, 8] = random 1
    %a = Relu(%x)
    %y = Concat(%token, %a) {axis=1}
  })",
        {{ramp({1, 4, 8})}, {ramp({1, 1, 8})}, {ramp({1, 0, 8})}, {ramp({1, 50, 8})}});
}

TEST_P(InPlace, PiecesOfPieces) {
  check(R"(graph "g" (%x: f32[4, m]) -> (%y, %r, %s) {
    const %from: i64[1] = [-2]
    const %to: i64[1] = [100]
    const %k: i64[] = 1
    %a = Relu(%x)
    %p, %q = Split(%a) {axis=0, num_outputs=2}
    %r, %t = Split(%q) {axis=0, num_outputs=2}
    %s = Slice(%a, %from, %to)
    %g = Gather(%x, %k) {axis=0}
    %h = Neg(%t)
    %y = Concat(%h, %p, %s, %q) {axis=0}
  })",
        {{ramp({4, 4})}, {ramp({4, 3})}, {ramp({4, 1})}, {ramp({4, 12})}, {ramp({4, 0})}});
}

TEST_P(InPlace, SplitsThatNobodyComputes) {
  check(R"(graph "g" (%x: f32[4, m]) -> (%p, %q) {
    %a, %p = Split(%x) {axis=0, num_outputs=2}
    %q = Neg(%a)
  })",
        {{ramp({4, 4})}, {ramp({4, 3})}});
}

TEST_P(InPlace, AWrongIndexStillFails) {
  auto c = open(R"(graph "g" (%x: f32[n, 4]) -> (%y) {
    const %k: i64[] = 1
    %g = Gather(%x, %k) {axis=0}
    %y = Neg(%g)
  })",
                GetParam());
  ASSERT_TRUE(c);
  EXPECT_EQ(run(*c, {ramp({2, 4})})[0].at(0), -ramp({2, 4}).at(4));
  std::vector<Tensor> y;
  EXPECT_EQ(c->run({ramp({1, 4})}, y).code(), Code::invalid_argument);
}

TEST_P(InPlace, ResultsAreTheCallersOwn) {
  auto c = open(R"(graph "g" (%x: f32[n, 256]) -> (%y, %part, %a) {
    %a = Relu(%x)
    %b = Neg(%x)
    %y = Concat(%a, %b) {axis=0}
    %part, %rest = Split(%b) {axis=0, num_outputs=2}
  })",
                GetParam());
  ASSERT_TRUE(c);
  const Tensor x = ramp({4, 256});
  std::vector<Tensor> out = {Tensor::make(DType::f32, {8, 256}), Tensor::make(DType::f32, {2, 256}), {}};
  const void *y = out[0].data(), *part = out[1].data();
  ASSERT_TRUE(c->run({x}, out).ok());
  EXPECT_EQ(out[0].data(), y);
  EXPECT_EQ(out[1].data(), part);
  EXPECT_LT(c->executor().planned_peak(), 4096);  // all stands in the results; the rest is scratch
  auto want = interpret(c->engine().graph(), {x}).value();
  const std::vector<Tensor> first = out;
  out = {{}, {}, {}};
  ASSERT_TRUE(c->run({ramp({2, 256})}, out).ok());
  for (size_t j = 0; j < 3; ++j) EXPECT_TRUE(first[j].identical(want[j])) << j;
}

// Parts that late steps make or read, and parts whose size only the data decides.
TEST_P(InPlace, LateSteps) {
  check(R"(graph "g" (%x: f32[n], %from: i64[1], %to: i64[1]) -> (%y, %w, %v) {
    %a = Relu(%x)
    %b: f32[n] = Slice(%x, %from, %to)
    %y = Concat(%a, %b) {axis=0}
    %z = NonZero(%a)
    %f = Cast(%z) {to=1}
    const %s: i64[1] = [-1]
    %r = Reshape(%f, %s)
    %w = Concat(%r, %a) {axis=0}
    %v = Slice(%a, %from, %to)
  })",
        {{ramp({8}), Tensor::of_ints({0}), Tensor::of_ints({8})},
         {ramp({4}), Tensor::of_ints({0}), Tensor::of_ints({4})}});
}

TEST_P(InPlace, ShapeArithmeticIsCopiedIn) {
  check(R"(graph "g" (%x: i64[4, m]) -> (%y) {
    %d: i64[2] = tenon.Dims() {dims=["m", "4"]}
    const %s: i64[1] = [-1]
    %a = Abs(%x)
    %f = Reshape(%a, %s)
    %y = Concat(%f, %d) {axis=0}
  })",
        {{Tensor::of_ints({1, -2, 3, -4, 5, -6, 7, -8}).reshaped({4, 2})},
         {Tensor::of_ints({1, -2, 3, -4}).reshaped({4, 1})}});
}

TEST_P(InPlace, Bodies) {
  check(R"(graph "g" (%x: f32[n, 4], %m: i64[]) -> (%y) {
    %y = Loop(%m, _, %x) {body=graph "b" (%i: i64[], %go: bool[], %v: f32[k, 4]) -> (%on, %w) {
        %on = Identity(%go)
        %a = Neg(%v)
        %b = Abs(%v)
        %w = Concat(%a, %b) {axis=0}
      }}
  })",
        {{ramp({1, 4}), Tensor::scalar_int(3)}, {ramp({2, 4}), Tensor::scalar_int(0)}});
}

TEST_P(InPlace, TheArenaHoldsPartsOnce) {
  auto c = open(R"(graph "g" (%x: f32[n, 256]) -> (%y) {
    %a = Relu(%x)
    %b = Neg(%x)
    %c = Concat(%a, %b) {axis=0}
    %y = ReduceSum(%c)
  })",
                GetParam());
  ASSERT_TRUE(c);
  run(*c, {ramp({4, 256})});
  EXPECT_EQ(c->executor().planned_lower_bound() - c->executor().planned_peak(), 0);
  EXPECT_LT(c->executor().planned_peak(), 3 * 4096);
}

// ---- rows that lie apart ----

// The same kernels with and without rows that lie apart give the same bits; the first need less memory.
void check_rows(std::string_view text, const std::vector<std::vector<Tensor>>& inputs, size_t kernels) {
  EngineContent content = make_content(text);
  auto compiler = create_compiler("cpu", "").value();
  for (size_t n = 0; n < content.steps.size();
       ++n) {  // fused nodes too, which make_content leaves to the references
    const KernelRequest request{content.graph, content.graph.nodes[n]};
    if (content.steps[n].image.backend != "reference" || !compiler->supports(request).yes) continue;
    content.steps[n] = {};
    content.steps[n].image = compiler->compile(request).value();
  }
  auto apart = open(content);
  size_t striding = 0;
  for (StepPlan& step : content.steps)
    striding += step.image.strides_output, step.image.strides_output = false;
  EXPECT_EQ(striding, kernels);
  auto copied = open(content);
  ASSERT_TRUE(apart && copied);
  for (int round = 0; round < 2; ++round)
    for (const auto& in : inputs) {
      auto y = run(*apart, in), want = run(*copied, in);
      for (size_t j = 0; j < y.size(); ++j)
        EXPECT_TRUE(y[j].identical(want[j])) << "output " << j << " at " << cat(in[0].shape());
      constexpr int64_t kMuch = 20000;  // elements beside which kernels' scratch is little
      if (in[0].size() > kMuch) EXPECT_LT(apart->executor().planned_peak(), copied->executor().planned_peak()) << cat(in[0].shape());
      auto plain = interpret(content.graph, in);
      ASSERT_TRUE(plain.ok()) << plain.status().to_string();
      for (size_t j = 0; j < y.size(); ++j)
        for (int64_t i = 0; i < y[j].size(); ++i)
          ASSERT_NEAR(y[j].at(i), (*plain)[j].at(i), 1e-3) << "output " << j << " at " << cat(in[0].shape());
    }
}

TEST(RowsApart, OfConvolutionsAndPools) {
  check_rows(R"(graph "g" (%x: f32[n, h, w, 8]) -> (%y) {
    const %w1: f32[16, 8, 1, 1] = random 1
    const %w2: f32[21, 8, 3, 3] = random 2
    const %w3: f32[8, 1, 3, 3] = random 3
    const %w4: f32[8, 5, 3, 3] = random 4
    const %w5: f32[4, 66, 1, 1] = random 5
    %a = Conv(%x, %w1) {channels_last=1}
    %b = Conv(%x, %w2) {channels_last=1, pads=[1, 1, 1, 1]}
    %c = Conv(%x, %w3) {channels_last=1, pads=[1, 1, 1, 1], group=8}
    %p = MaxPool(%x) {channels_last=1, pads=[1, 1, 1, 1], kernel_shape=[3, 3]}
    %t = ConvTranspose(%x, %w4) {channels_last=1, pads=[1, 1, 1, 1]}
    %k = Concat(%a, %b, %x, %c, %p, %t) {axis=3}
    %y = Conv(%k, %w5) {channels_last=1}
  })",
             {{ramp({1, 5, 7, 8})},
              {ramp({3, 4, 4, 8})},
              {ramp({1, 1, 1, 8})},
              {ramp({2, 1, 1, 8})},
              {ramp({1, 60, 80, 8})}},
             6);
}

TEST(RowsApart, BehindEpilogues) {
  check_rows(R"(graph "g" (%x: f32[n, h, 6, 8], %r: f32[n, h, 6, 8]) -> (%y) {
    const %w: f32[8, 8, 3, 3] = random 1
    const %c: f32[8] = random 2
    %a: f32[n, h, 6, 8] = tenon.Fused(%x, %w, %c, %r) {kind="conv", body=graph "b" (%x: f32[n, h, 6, 8], %w: f32[8, 8, 3, 3], %c: f32[8], %r: f32[n, h, 6, 8]) -> (%y) {
      %p: f32[n, h, 6, 8] = Conv(%x, %w, %c) {channels_last=1, pads=[1, 1, 1, 1]}
      %q: f32[n, h, 6, 8] = Add(%p, %r)
      %y: f32[n, h, 6, 8] = Relu(%q)
    }}
    %b: f32[n, h, 6, 8] = tenon.Fused(%x, %w, %c, %r) {kind="conv", body=graph "b" (%x: f32[n, h, 6, 8], %w: f32[8, 8, 3, 3], %c: f32[8], %r: f32[n, h, 6, 8]) -> (%y) {
      %p: f32[n, h, 6, 8] = Conv(%x, %w, %c) {channels_last=1, pads=[1, 1, 1, 1]}
      %q: f32[n, h, 6, 8] = Softplus(%p)
      %y: f32[n, h, 6, 8] = Mul(%q, %r)
    }}
    %k = Concat(%a, %b) {axis=3}
    %y = Neg(%k)
  })",
             {{ramp({1, 5, 6, 8}), ramp({1, 5, 6, 8})}, {ramp({2, 3, 6, 8}), ramp({2, 3, 6, 8})}, {ramp({5, 400, 6, 8}), ramp({5, 400, 6, 8})}}, 2);
}

TEST(RowsApart, OfProducts) {
  check_rows(R"(graph "g" (%x: f32[b, m, 16], %z: f32[b, 16, 12]) -> (%y) {
    const %w: f32[16, 70] = random 1
    %p = MatMul(%x, %w)
    %q = MatMul(%x, %z)
    %k = Concat(%q, %p) {axis=-1}
    %y = Neg(%k)
  })",
             {{ramp({1, 3, 16}), ramp({1, 16, 12})},
              {ramp({4, 9, 16}), ramp({4, 16, 12})},
              {ramp({2, 1, 16}), ramp({2, 16, 12})},
              {ramp({1, 1, 16}), ramp({1, 16, 12})},
              {ramp({3, 1300, 16}), ramp({3, 16, 12})}},
             2);
}

TEST(RowsApart, OfResizes) {
  for (const char* mode : {"nearest", "linear"})
    check_rows(cat(R"(graph "g" (%x: f32[n, h, 5, 6]) -> (%y) {
      const %s: f32[4] = [1.0, 2.0, 2.0, 1.0]
      const %w: f32[10, 6, 3, 3] = random 1
      %r: f32[n, 2*h, 10, 6] = Resize(%x, _, %s) {mode=")",
                   mode, R"("}
      %t = Relu(%r)
      %c = Conv(%t, %w) {channels_last=1, pads=[1, 1, 1, 1]}
      %u: f32[n, 2*h, 10, 6] = Resize(%x, _, %s) {mode=")",
                   mode, R"("}
      %k = Concat(%c, %u) {axis=3}
      %y = Neg(%k)
    })"),
               {{ramp({1, 4, 5, 6})}, {ramp({2, 3, 5, 6})}, {ramp({12, 60, 5, 6})}}, 3);
}

TEST(RowsApart, NotWhereSomebodyElseReadsThem) {
  EngineContent content = make_content(R"(graph "g" (%x: f32[2, 3, 3, 8]) -> (%y, %z) {
    const %w: f32[16, 8, 1, 1] = random 1
    %a = Conv(%x, %w) {channels_last=1}
    %b = Relu(%x)
    %y = Concat(%a, %b) {axis=3}
    %z = Neg(%a)
  })");
  auto c = open(content);
  ASSERT_TRUE(c);
  const Tensor x = ramp({2, 3, 3, 8});
  auto y = run(*c, {x});
  auto want = interpret(content.graph, {x}).value();
  for (size_t j = 0; j < 2; ++j)
    for (int64_t i = 0; i < y[j].size(); ++i) EXPECT_NEAR(y[j].at(i), want[j].at(i), 1e-4);
}

}  // namespace
}  // namespace tenon
