#include "passes/pass_test.h"

namespace tenon {
namespace {

std::string folded(const std::string& nodes) {
  return ops_of(expect_same_results("fold_pads", cat(R"(
graph "g" (%x: f32[n, 3, 6, 5]) -> (%y) {
  const %w: f32[2, 3, 3, 2] = random 1
  const %one: f32[] = 1.0
  const %pads: i64[8] = [0, 0, 1, 0, 0, 0, 2, 1]
  const %some: i64[2] = [1, 2]
  const %axis: i64[1] = [-2]
)", nodes, "}")));
}

TEST(FoldPads, IntoConvAndAveragePool) {
  EXPECT_EQ(folded("%p = Pad(%x, %pads) %y = Conv(%p, %w) {pads=[0, 1, 0, 1], strides=[2, 1]}"), "Conv");
  EXPECT_EQ(folded("%p = Pad(%x, %some, _, %axis) %y = Conv(%p, %w)"), "Conv");
  EXPECT_EQ(folded("%p = Pad(%x, %pads) %y = AveragePool(%p) {kernel_shape=[3, 2]}"), "AveragePool");
}

TEST(FoldPads, OthersStay) {
  EXPECT_EQ(folded("%p = Pad(%x, %pads, %one) %y = Conv(%p, %w)"), "Pad Conv");
  EXPECT_EQ(folded("%p = Pad(%x, %pads) {mode=\"edge\"} %y = Conv(%p, %w)"), "Pad Conv");
  EXPECT_EQ(folded("%p = Pad(%x, %pads) %y = Conv(%p, %w) {auto_pad=\"SAME_UPPER\"}"), "Pad Conv");
}

}  // namespace
}  // namespace tenon
