#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(ChannelsLast, ARegionKeepsOneTransposeAtEachEnd) {
  const Graph g = expect_same_results("channels_last", R"(
graph "g" (%x: f32[n, 3, 12, 12]) -> (%y) {
  const %w1: f32[8, 3, 3, 3] = random 1
  const %w2: f32[8, 8, 3, 3] = random 2
  const %w3: f32[8, 8, 1, 1] = random 3
  const %k: f32[8, 1, 1] = random 4
  const %axes: i64[2] = [2, 3]
  %c1 = Conv(%x, %w1) {pads=[1, 1, 1, 1]}
  %r1 = Relu(%c1)
  %c2 = Conv(%r1, %w2) {pads=[1, 1, 1, 1]}
  %s = Mul(%c2, %k)
  %p = GlobalAveragePool(%s)
  %e = Conv(%p, %w3)
  %g = Sigmoid(%e)
  %m = Mul(%s, %g)
  %a = Add(%m, %r1)
  %q = MaxPool(%a) {kernel_shape=[2, 2], strides=[2, 2]}
  %t = Concat(%q, %q) {axis=1}
  %y = ReduceMean(%t, %axes) {keepdims=0}
})");
  EXPECT_EQ(ops_of(g),
            "Transpose Conv Relu Conv Mul ReduceMean Conv Sigmoid Mul Add MaxPool Concat ReduceMean");
}

TEST(ChannelsLast, OneDimension) {
  EXPECT_EQ(ops_of(expect_same_results("channels_last", R"(
graph "g" (%x: f32[n, 3, 40]) -> (%y) {
  const %w1: f32[16, 3, 3] = random 1
  const %w2: f32[16, 16, 3] = random 2
  %c1 = Conv(%x, %w1)
  %r1 = Relu(%c1)
  %c2 = Conv(%r1, %w2)
  %y = Transpose(%c2) {perm=[0, 2, 1]}
})")),
            "Transpose Conv Relu Conv");
}

TEST(ChannelsLast, OneSmallConvolution) {
  EXPECT_EQ(ops_of(expect_same_results("channels_last", R"(
graph "g" (%x: f32[n, 8, 12, 12]) -> (%y) {
  const %w: f32[8, 8, 1, 1] = random 1
  %y = Conv(%x, %w)
})")),
            "Transpose Conv Transpose");
}

}  // namespace
}  // namespace tenon
