// The families' choices and what NVRTC makes of their text: every variant compiles without spilled registers.
// Numbers are compared on the emulated GPU, in tests/cuda_emulator/.
#include <gtest/gtest.h>

#include "backend/cuda/build/family.h"
#include "backend/cuda/build/nvrtc.h"
#include "ir/infer.h"
#include "ir/text.h"

namespace tenon::cuda {
namespace {

const Chip kHopper = *chip_of_target("cuda:sm_90a");

struct Case {
  const char* variant;  // "" where there is to be no kernel
  const char* graph;    // after `graph "m" `; its last node is asked for
};

const Case kCases[] = {
    // Softmax: registers of part of a warp, of a block, three passes, columns.
    {"softmax.warp", "(%x: f32[3, 5]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.warp", "(%x: f16[2000, 24]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.warp", "(%x: f32[12288, 1024]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.warp", "(%x: f64[12288, 512]) -> (%y) { %y = LogSoftmax(%x) }"},
    {"softmax.warp", "(%x: f16[b, 12, 384, 384]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.block", "(%x: bf16[9, 1000]) -> (%y) { %y = LogSoftmax(%x) }"},
    {"softmax.block", "(%x: f32[64, 16384]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.long", "(%x: f64[9, 50257]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.long", "(%x: f16[b, h, s, s]) -> (%y) { %y = Softmax(%x) }"},
    {"softmax.columns", "(%x: f16[b, 21, h, w]) -> (%y) { %y = Softmax(%x) {axis=1} }"},
    // Norms.
    {"norm.block",
     "(%x: f16[b, 768], %s: f16[768], %c: f16[768]) -> (%y) { %y = LayerNormalization(%x, %s, %c) }"},
    {"norm.warp", "(%x: f16[8192, 768], %s: f32[768]) -> (%y) { %y = RMSNormalization(%x, %s) }"},
    {"norm.long", "(%x: f32[b, n], %s: f32[n]) -> (%y, %m, %i) { %y, %m, %i = LayerNormalization(%x, %s) }"},
    {"norm.long",
     "(%x: f32[1, 32, 300, 300], %s: f32[32], %c: f32[32]) -> (%y) { %y = InstanceNormalization(%x, %s, %c) "
     "}"},
    {"norm.block",
     "(%x: f16[2, 32, 16, 16], %s: f16[32], %c: f16[32]) -> (%y) { %y = GroupNormalization(%x, %s, %c) "
     "{num_groups=8} }"},
    {"norm.block",
     "(%x: f32[b, s, 1024], %k: f32[b, s, 1024], %g: f32[1024], %c: f32[1024]) -> (%y, %z) {"
     " %y, _, _, %z = com.microsoft.SkipLayerNormalization(%x, %k, %g, %c) }"},
    {"", "(%x: f32[4, 6], %s: f32[4, 1]) -> (%y) { %y = LayerNormalization(%x, %s) }"},
    {"batch_norm",
     "(%x: f32[b, 6, h, w], %s: f32[6], %c: f32[6], %m: f32[6], %v: f32[6]) -> (%y) { %y = "
     "BatchNormalization(%x, %s, %c, %m, %v) }"},
    // Reductions.
    {"reduce.rows", "(%x: f16[4, 512, 768]) -> (%y) { const %a: i64[1] = [-1] %y = ReduceMean(%x, %a) }"},
    {"reduce.columns", "(%x: f16[4, 49, 2048]) -> (%y) { const %a: i64[1] = [1] %y = ReduceMean(%x, %a) }"},
    {"reduce.columns", "(%x: i32[b, n, 7]) -> (%y) { const %a: i64[1] = [1] %y = ReduceL2(%x, %a) }"},
    {"reduce.rows.split", "(%x: f32[2, 200000]) -> (%y) { const %a: i64[1] = [1] %y = ReduceSum(%x, %a) }"},
    {"reduce.columns.split", "(%x: f16[70001, 4]) -> (%y) { const %a: i64[1] = [0] %y = ReduceMax(%x, %a) }"},
    {"reduce.rows.split", "(%x: f64[n]) -> (%y) { %y = ReduceProd(%x) }"},
    {"reduce.columns.split",
     "(%x: f16[b, 12544, 32]) -> (%y) { const %a: i64[1] = [1] %y = ReduceMean(%x, %a) }"},
    {"reduce.rows",
     "(%x: f32[2, 3, 4, 5]) -> (%y) { const %a: i64[2] = [1, 3] %y = ReduceLogSumExp(%x, %a) }"},
    {"reduce.rows", "(%x: f32[b, 64, h, w]) -> (%y) { %y = GlobalAveragePool(%x) }"},
    {"", "(%x: f32[2, 3], %a: i64[1]) -> (%y) { %y = ReduceSum(%x, %a) }"},
    {"arg_reduce.rows", "(%x: f16[b, 50257]) -> (%y) { %y = ArgMax(%x) {axis=1} }"},
    {"arg_reduce.columns", "(%x: u64[b, 21, 64, 64]) -> (%y) { %y = ArgMin(%x) {axis=1} }"},
    // Movement.
    {"transpose.tile", "(%x: f16[b, 64, h, w]) -> (%y) { %y = Transpose(%x) {perm=[0, 2, 3, 1]} }"},
    {"transpose.copy", "(%x: f32[b, 3, h, w]) -> (%y) { %y = Transpose(%x) {perm=[0, 2, 3, 1]} }"},
    {"transpose.copy", "(%x: f16[b, s, 12, 64]) -> (%y) { %y = Transpose(%x) {perm=[0, 2, 1, 3]} }"},
    {"transpose.tile", "(%x: u8[b, 64, 40]) -> (%y) { %y = Transpose(%x) {perm=[2, 1, 0]} }"},
    {"concat.16", "(%x: f16[b, 64], %z: f16[b, 32]) -> (%y) { %y = Concat(%x, %z) {axis=1} }"},
    {"concat.4", "(%x: f32[b, n], %z: f32[b, m]) -> (%y) { %y = Concat(%x, %z) {axis=1} }"},
    {"split.8", "(%x: f32[b, 12]) -> (%y, %z) { %y, %z = Split(%x) {axis=1, num_outputs=2} }"},
    {"slice.16",
     "(%x: f16[n, 16], %s: i64[1], %e: i64[1]) -> (%y) { const %a: i64[1] = [0] %y = Slice(%x, %s, %e, %a) "
     "}"},
    {"slice.4",
     "(%x: f32[8, 16]) -> (%y) { const %s: i64[1] = [14] const %e: i64[1] = [1] const %a: i64[1] = [1] const "
     "%t: i64[1] = [-3] %y = Slice(%x, %s, %e, %a, %t) }"},
    {"expand.16", "(%x: f32[3, 1, 8]) -> (%y) { const %s: i64[3] = [3, 5, 8] %y = Expand(%x, %s) }"},
    {"tile.16", "(%x: f32[n, 4], %s: i64[2]) -> (%y) { %y = Tile(%x, %s) }"},
    {"blocks.2", "(%x: f16[b, 12, h, w]) -> (%y) { %y = DepthToSpace(%x) {blocksize=2} }"},
    {"pad.constant",
     "(%x: f16[b, h, w, 8]) -> (%y) { const %p: i64[8] = [0, 1, 1, 0, 0, 1, 1, 0] %y = Pad(%x, %p) }"},
    {"pad.reflect",
     "(%x: f32[3, n, 7], %p: i64[2]) -> (%y) { const %a: i64[1] = [1] %y = Pad(%x, %p, _, %a) "
     "{mode=\"reflect\"} }"},
    {"gather.16", "(%x: f16[30522, 768], %i: i64[b, s]) -> (%y) { %y = Gather(%x, %i) }"},
    {"gather.4", "(%x: f32[n, m], %i: i32[k, m]) -> (%y) { %y = GatherElements(%x, %i) }"},
    {"gather.16", "(%x: f32[b, 3, 8], %i: i64[b, 2, 1]) -> (%y) { %y = GatherND(%x, %i) {batch_dims=1} }"},
    {"scatter.last", "(%x: f16[n, 5], %i: i64[u, 1], %u: f16[u, 5]) -> (%y) { %y = ScatterND(%x, %i, %u) }"},
    {"scatter.columns",
     "(%x: f16[n, 5], %i: i64[4, 1], %u: f16[4, 5]) -> (%y) { %y = ScatterND(%x, %i, %u) }"},
    {"scatter.columns",
     "(%x: f32[4, n, 3], %i: i32[3, m, 2], %u: f32[3, m, 2]) -> (%y) { %y = ScatterElements(%x, %i, %u) "
     "{axis=1, reduction=\"add\"} }"},
    {"",
     "(%x: f32[10], %i: i64[9000, 1], %u: f32[9000]) -> (%y) { %y = ScatterND(%x, %i, %u) "
     "{reduction=\"add\"} }"},
    {"", "(%x: f32[3000000000]) -> (%y) { const %r: i64[1] = [1] %y = Tile(%x, %r) }"},
    // Windows and interpolation.
    {"pool.nhwc8",
     "(%x: f16[b, 112, 112, 64]) -> (%y) { %y = MaxPool(%x) {kernel_shape=[3, 3], strides=[2, 2], pads=[1, "
     "1, 1, 1], channels_last=1} }"},
    {"pool.nchw1",
     "(%x: f32[b, 3, h, w]) -> (%y, %i) { %y, %i = MaxPool(%x) {kernel_shape=[2, 2], "
     "auto_pad=\"SAME_UPPER\", strides=[2, 2]} }"},
    {"pool.nchw1",
     "(%x: f32[b, 3, d, h, w]) -> (%y) { %y = AveragePool(%x) {kernel_shape=[2, 3, 3], pads=[0, 1, 1, 1, 1, "
     "0]} }"},
    {"resize.nearest.nhwc",
     "(%x: f16[b, h, w, 64]) -> (%y) { const %s: f32[4] = [1.0, 2.0, 2.0, 1.0] %y = Resize(%x, _, %s) "
     "{mode=\"nearest\"} }"},
    {"resize.linear.table",
     "(%x: f32[1, 8, 20, 30]) -> (%y) { const %s: i64[4] = [1, 8, 50, 40] %y = Resize(%x, _, _, %s) "
     "{mode=\"linear\", antialias=1} }"},
    {"resize.cubic",
     "(%x: f32[b, 8, h, w]) -> (%y) { const %s: f32[4] = [1.0, 1.0, 1.5, 2.0] %y = Resize(%x, _, %s) "
     "{mode=\"cubic\", exclude_outside=1} }"},
    // Along an axis, and by coordinates.
    {"topk.sort", "(%x: f16[b, 64]) -> (%y, %i) { const %k: i64[1] = [2] %y, %i = TopK(%x, %k) }"},
    {"topk.select", "(%x: f32[b, 50257]) -> (%y, %i) { const %k: i64[1] = [50] %y, %i = TopK(%x, %k) }"},
    {"topk.select",
     "(%x: i64[b, n, 4]) -> (%y, %i) { const %k: i64[1] = [2000] %y, %i = TopK(%x, %k) {axis=1, largest=0} "
     "}"},
    {"topk.whole", "(%x: f32[b, n], %k: i64[1]) -> (%y, %i) { %y, %i = TopK(%x, %k) }"},
    {"topk.whole", "(%x: i64[b, 9000]) -> (%y, %i) { const %k: i64[1] = [5000] %y, %i = TopK(%x, %k) }"},
    {"cumulative.rows", "(%x: i64[b, n]) -> (%y) { const %a: i64[] = 1 %y = CumSum(%x, %a) }"},
    {"cumulative.columns",
     "(%x: f16[b, n, 8]) -> (%y) { const %a: i64[] = 1 %y = CumSum(%x, %a) {reverse=1} }"},
    {"recurrent.lstm",
     "(%x: f16[s, b, 40], %w: f16[2, 256, 40], %r: f16[2, 256, 64], %c: f16[2, 512]) -> (%y, %h, %e) {"
     " %y, %h, %e = LSTM(%x, %w, %r, %c) {direction=\"bidirectional\", hidden_size=64} }"},
    {"recurrent.gru",
     "(%x: f32[s, b, 40], %w: f32[1, 1536, 40], %r: f32[1, 1536, 512]) -> (%y) { %y = GRU(%x, %w, %r) }"},
    {"grid_sample.linear", "(%x: f16[b, 8, h, w], %g: f32[b, p, q, 2]) -> (%y) { %y = GridSample(%x, %g) }"},
    {"grid_sample.cubic",
     "(%x: f32[b, 8, h, w], %g: f32[b, p, q, 2]) -> (%y) { %y = GridSample(%x, %g) {mode=\"cubic\", "
     "padding_mode=\"reflection\"} }"},
    {"roi_align",
     "(%x: f32[b, 8, h, w], %g: f32[n, 4], %i: i64[n]) -> (%y) { %y = RoiAlign(%x, %g, %i) {output_height=7, "
     "output_width=7} }"},
    {"one_hot", "(%x: i64[2, n], %v: f16[2]) -> (%y) { const %d: i64[] = 4 %y = OneHot(%x, %d, %v) }"},
    {"constant_of_shape", "(%s: i64[2]) -> (%y) { %y = ConstantOfShape(%s) {value=tensor f16[1] [2.0]} }"},
    {"quantize", "(%x: f16[b, 64], %s: f16[], %z: i8[]) -> (%y) { %y = QuantizeLinear(%x, %s, %z) }"},
    {"dequantize", "(%x: u8[b, 64, 7], %s: f32[64]) -> (%y) { %y = DequantizeLinear(%x, %s) }"},
    {"lrn", "(%x: f16[b, 64, h, w]) -> (%y) { %y = LRN(%x) {size=5} }"},
    {"rotary",
     "(%x: f16[b, 8, n, 64], %c: f16[2048, 32], %s: f16[2048, 32], %i: i64[b, n]) -> (%y) { %y = "
     "RotaryEmbedding(%x, %c, %s, %i) }"},
    {"trilu", "(%x: f32[b, n, n], %k: i64[]) -> (%y) { %y = Trilu(%x, %k) }"},
    {"reverse_sequence", "(%x: f32[n, b, 7], %l: i64[b]) -> (%y) { %y = ReverseSequence(%x, %l) }"},
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.graph;
}

class CudaFamilies : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Cases, CudaFamilies, ::testing::ValuesIn(kCases));

TEST_P(CudaFamilies, ChooseAndCompile) {
  auto g = parse(cat("graph \"m\" ", GetParam().graph));
  ASSERT_TRUE(g.ok()) << g.status().to_string() << "\n" << GetParam().graph;
  const KernelRequest r{*g, g->nodes.back()};
  const Family* family = nullptr;
  for (const Family* f : families())
    if (f->concerns(r)) {
      EXPECT_EQ(family, nullptr) << family->name << " and " << f->name;
      family = f;
    }
  ASSERT_NE(family, nullptr) << GetParam().graph;
  const KernelAnswer answer = family->supports(r, kHopper);
  if (!*GetParam().variant) {
    EXPECT_FALSE(answer.yes) << GetParam().graph;
    EXPECT_NE(answer.reason, "");
    return;
  }
  ASSERT_TRUE(answer.yes) << answer.reason << "\n" << GetParam().graph;
  auto p = family->generate(r, kHopper);
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_EQ(p->variant, GetParam().variant) << GetParam().graph;
  EXPECT_EQ(family->generate(r, kHopper)->source, p->source);
  EXPECT_TRUE(Recipe::parse(p->recipe.to_text()).ok());
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string();
  auto code = compile_cuda(p->source, kHopper, {{}, /*refuse_slow=*/true, /*use_disk=*/false});
  EXPECT_TRUE(code.ok()) << code.status().to_string() << "\n" << p->source;
}

}  // namespace
}  // namespace tenon::cuda
