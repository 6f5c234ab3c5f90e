#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(FoldConstants, RunsNodesOnConstants) {
  expect_pass("fold_constants", R"(
graph "g" (%x: f32[1, 2]) -> (%y) {
  const %w: f32[2, 1] = [1.0, 2.0]
  %t = Transpose(%w)
  %n = Neg(%t)
  %y = Add(%x, %n)
})",
              R"(
graph "g" (%x: f32[1, 2]) -> (%y) {
  const %n: f32[1, 2] = [-1.0, -2.0]
  %y: f32[1, 2] = Add(%x, %n)
}
)");
}

TEST(FoldConstants, LeavesWhatGrowsMuch) {
  EXPECT_EQ(ops_of(expect_same_results("fold_constants", R"(
graph "g" (%x: f32[1000, 300]) -> (%y) {
  const %s: i64[2] = [1000, 300]
  const %one: f32[] = 1.0
  %e = Expand(%one, %s)
  %y = Add(%x, %e)
})")),
            "Expand Add");
}

TEST(FoldConstants, WeightsMayChangeTheirType) {
  const char* text = R"(
graph "g" (%x: f32[4]) -> (%y) {
  const %q: i8[4] = [1, 2, 3, 4]
  const %s: f32[] = 0.5
  %w = DequantizeLinear(%q, %s)
  %y = Mul(%x, %w)
})";
  EXPECT_EQ(ops_of(expect_same_results("fold_constants", text)), "Mul");
  PassOptions keep;
  keep.fold_dequantize = false;
  EXPECT_EQ(ops_of(*run_pass(*find_pass("fold_constants"), parse_or_die(text), keep)), "DequantizeLinear Mul");
}

}  // namespace
}  // namespace tenon
