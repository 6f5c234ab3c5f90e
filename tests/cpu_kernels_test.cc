// The cpu backend's kernels on nodes with constant weights, which are packed at build time, and on fused nodes: no node
// may fall back, and the answers are the references'.
#include <gtest/gtest.h>

#include "base/random.h"
#include "compiler/report.h"
#include "op_samples.h"
#include "whole.h"

namespace tenon::whole {
namespace {

struct Case {
  const char* name;
  const char* text;
  std::vector<Shape> shapes;  // of the inputs
  Tolerance tolerance = {.f32 = 32, .f16 = 2};
};

Tensor draw(DType t, Shape shape, uint64_t seed) {
  Tensor x = Tensor::make(t, std::move(shape));
  Random random(seed);
  for (int64_t i = 0; i < x.size(); ++i) {
    const uint64_t r = random.next() >> 20;
    if (is_float(t)) x.set(i, double(r % 2001) / 1000 - 1);
    else x.set_int(i, int64_t(r % 256) - (is_signed_int(t) ? 128 : 0));
  }
  return x;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"HalfMatMul", R"(graph "g" (%x: f16[n, 33]) -> (%y) {
         const %w: f16[33, 20] = random 1
         const %b: f16[20] = random 2
         %m = MatMul(%x, %w)
         %a = Add(%m, %b)
         %y = Relu(%a)
       })", {{5, 33}}},
      {"HalfProductOfInputs", R"(graph "g" (%x: bf16[2, n, 19], %w: bf16[2, 19, 7]) -> (%y) { %y = MatMul(%x, %w) })", {{2, 6, 19}, {2, 19, 7}}},
      {"HalfGemm", R"(graph "g" (%x: f16[n, 40]) -> (%y) {
         const %w: f16[10, 40] = random 1
         const %b: f16[10] = random 2
         %y = Gemm(%x, %w, %b) {transB=1}
       })", {{3, 40}}},
      // The sums come out unrounded, where the references round the product first.
      {"HalfProductWidened", R"(graph "g" (%x: f16[n, 33], %r: f32[n, 20]) -> (%y) {
         const %w: f16[33, 20] = random 1
         const %b: f16[20] = random 2
         %m = MatMul(%x, %w)
         %a = Add(%m, %b)
         %c = Cast(%a) {to=1}
         %y = Sub(%c, %r)
       })", {{5, 33}, {5, 20}}, {.f32 = 16384}},
      {"FloatProductRounded", R"(graph "g" (%x: f32[n, 33], %r: bf16[n, 20]) -> (%y) {
         const %w: f32[33, 20] = random 1
         %m = MatMul(%x, %w)
         %s = Sigmoid(%m)
         %c = Cast(%s) {to=16}
         %y = Add(%c, %r)
       })", {{5, 33}, {5, 20}}},
      {"FloatProductRoundedAtOnce", R"(graph "g" (%x: f32[n, 33]) -> (%y) {
         const %w: f32[33, 20] = random 1
         %m = MatMul(%x, %w)
         %y = Cast(%m) {to=10}
       })", {{5, 33}}},
      {"FloatConvRounded", R"(graph "g" (%x: f32[n, 5, 9, 9]) -> (%y) {
         const %w: f32[7, 5, 3, 3] = random 1
         %c = Conv(%x, %w) {pads=[1, 1, 1, 1]}
         %r = Relu(%c)
         %y = Cast(%r) {to=16}
       })", {{2, 5, 9, 9}}},
      {"HalfConvWidened", R"(graph "g" (%x: bf16[n, 6, 9, 9]) -> (%y) {
         const %w: bf16[6, 1, 3, 3] = random 1
         %c = Conv(%x, %w) {pads=[1, 1, 1, 1], group=6}
         %d = Cast(%c) {to=1}
         %y = HardSwish(%d)
       })", {{2, 6, 9, 9}}, {.f32 = 131072}},
      {"HalfConv", R"(graph "g" (%x: bf16[n, 5, 9, 9]) -> (%y) {
         const %w: bf16[7, 5, 3, 3] = random 1
         const %b: bf16[7] = random 2
         %c = Conv(%x, %w, %b) {pads=[1, 1, 1, 1]}
         %y = Sigmoid(%c)
       })", {{2, 5, 9, 9}}},
      {"Conv1D", R"(graph "g" (%x: f32[n, 6, 31]) -> (%y) {
         const %w: f32[8, 3, 5] = random 1
         %c = Conv(%x, %w) {group=2, strides=[2], pads=[2, 2]}
         %y = Relu(%c)
       })", {{2, 6, 31}}},
      {"ConvTranspose1D", R"(graph "g" (%x: f32[n, 6, 13]) -> (%y) {
         const %w: f32[6, 4, 5] = random 1
         %y = ConvTranspose(%x, %w) {group=2, strides=[3], pads=[1, 2]}
       })", {{2, 6, 13}}},
      {"Conv3D", R"(graph "g" (%x: f32[n, 3, 5, 6, 7]) -> (%y) {
         const %w: f32[4, 3, 3, 3, 3] = random 1
         const %b: f32[4] = random 2
         %c = Conv(%x, %w, %b) {pads=[1, 1, 1, 1, 1, 1], strides=[2, 1, 1]}
         %y = Relu(%c)
       })", {{2, 3, 5, 6, 7}}},
      {"Conv3DOfOneChannelEach", R"(graph "g" (%x: f32[n, 4, 3, 6, 7]) -> (%y) {
         const %w: f32[4, 1, 1, 3, 3] = random 1
         %y = Conv(%x, %w) {group=4, dilations=[1, 2, 1]}
       })", {{1, 4, 3, 6, 7}}},
      {"LSTM", R"(graph "g" (%x: f32[t, b, 6], %h: f32[2, b, 9], %c: f32[2, b, 9]) -> (%y, %hn, %cn) {
         const %w: f32[2, 36, 6] = random 1
         const %r: f32[2, 36, 9] = random 2
         const %bias: f32[2, 72] = random 3
         %y, %hn, %cn = LSTM(%x, %w, %r, %bias, _, %h, %c) {direction="bidirectional", hidden_size=9}
       })", {{5, 3, 6}, {2, 3, 9}, {2, 3, 9}}, {.f32 = 64}},
      {"GRUOfStateAlone", R"(graph "g" (%x: f32[b, t, 6]) -> (%hn) {
         const %w: f32[1, 27, 6] = random 1
         const %r: f32[1, 27, 9] = random 2
         _, %hn = GRU(%x, %w, %r) {layout=1, hidden_size=9}
       })", {{3, 5, 6}}, {.f32 = 64}},
      {"MatMulInteger", R"(graph "g" (%x: u8[n, 37], %z: u8[]) -> (%y) {
         const %w: i8[37, 50] = random 1
         const %v: i8[50] = random 2
         %y = MatMulInteger(%x, %w, %z, %v)
       })", {{5, 37}, {}}},
      {"MatMulIntegerOfBatches", R"(graph "g" (%x: i8[2, n, 37], %w: u8[2, 37, 5], %z: i8[2, n, 1], %v: u8[2, 1, 5]) -> (%y) {
         %y = MatMulInteger(%x, %w, %z, %v)
       })", {{2, 3, 37}, {2, 37, 5}, {2, 3, 1}, {2, 1, 5}}},
      {"ConvInteger", R"(graph "g" (%x: u8[n, 3, 8, 9], %z: u8[]) -> (%y) {
         const %w: u8[6, 3, 3, 3] = random 1
         const %v: u8[6] = random 2
         %y = ConvInteger(%x, %w, %z, %v) {strides=[2, 2], pads=[1, 1, 1, 1]}
       })", {{2, 3, 8, 9}, {}}},
      {"QLinearConv", R"(graph "g" (%x: i8[n, 4, 8, 9], %xz: i8[], %yz: i8[]) -> (%y) {
         const %w: i8[6, 2, 3, 3] = random 1
         const %xs: f32[] = 0.02
         const %ws: f32[6] = [0.01, 0.02, 0.03, 0.01, 0.005, 0.001]
         const %wz: i8[6] = [0, 0, 0, 1, 0, -3]
         const %ys: f32[] = 0.1
         const %b: i32[6] = [100, -200, 3000, 0, 5, 77]
         %y = QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz, %b) {group=2, pads=[1, 1, 1, 1]}
       })", {{2, 4, 8, 9}, {}, {}}},
      {"QLinearMatMul", R"(graph "g" (%x: u8[n, 33], %xz: u8[], %yz: i8[]) -> (%y) {
         const %w: i8[33, 9] = random 1
         const %xs: f32[] = 0.02
         const %ws: f32[9] = [0.01, 0.02, 0.03, 0.01, 0.005, 0.001, 0.1, 0.2, 0.3]
         const %wz: i8[9] = [0, 0, 0, 1, 0, -3, 5, 6, 7]
         const %ys: f32[] = 0.7
         %y = QLinearMatMul(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz)
       })", {{7, 33}, {}, {}}},
      {"DynamicQuantizeMatMul", R"(graph "g" (%x: f32[n, 33]) -> (%y) {
         const %w: i8[33, 9] = random 1
         const %ws: f32[9] = [0.01, 0.02, 0.03, 0.01, 0.005, 0.001, 0.1, 0.2, 0.3]
         const %b: f32[9] = random 2
         %y = com.microsoft.DynamicQuantizeMatMul(%x, %w, %ws, _, %b)
       })", {{7, 33}}},
      {"SizesFromTheData", R"(graph "g" (%x: f32[n, 7]) -> (%z, %v, %i) {
         %s = Floor(%x)
         %z = NonZero(%s)
         %t = Transpose(%z) {perm=[1, 0]}
         %v = GatherND(%x, %t)
         const %k: i64[1] = [3]
         %top, %i = TopK(%x, %k)
       })", {{9, 7}}},
  };
  return all;
}

class CpuKernels : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(All, CpuKernels, ::testing::Range(size_t(0), cases().size()), [](auto& p) { return std::string(cases()[p.param].name); });

TEST_P(CpuKernels, AgreeWithTheReferences) {
  const Case& c = cases()[GetParam()];
  BuildOptions options;
  options.golden = false;
  auto built = build(c.text, "cpu", options);
  ASSERT_TRUE(built.ok()) << built.status().to_string();
  for (const std::string& f : list_fallbacks(built->content)) ADD_FAILURE() << f;
  auto context = open(*built);
  ASSERT_TRUE(context);
  const Graph g = *parse(c.text);
  std::vector<Tensor> in, got;
  for (size_t i = 0; i < c.shapes.size(); ++i) in.push_back(draw(g.info(g.inputs[i]).dtype, c.shapes[i], i + 1));
  auto want = interpret(g, in);
  ASSERT_TRUE(want.ok()) << want.status().to_string();
  for (int run = 0; run < 2; ++run) {  // the second finds what was bound
    const Status s = context->run(in, got);
    ASSERT_TRUE(s.ok()) << s.to_string();
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(difference(c.tolerance, got[i], (*want)[i]), "") << "output " << i;
  }
}

}  // namespace
}  // namespace tenon::whole
