#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(FoldShapes, ChainsBecomeDims) {
  expect_pass("fold_shapes", R"(
graph "g" (%x: f32[batch, 4, seq]) -> (%y) {
  const %i0: i64[] = 0
  const %i2: i64[] = 2
  const %axis: i64[1] = [0]
  const %four: i64[1] = [4]
  %s = Shape(%x)
  %b = Gather(%s, %i0)
  %q = Gather(%s, %i2)
  %bq = Mul(%b, %q)
  %u = Unsqueeze(%bq, %axis)
  %shape = Concat(%u, %four) {axis=0} "shape"
  %y = Reshape(%x, %shape)
})",
              R"(
graph "g" (%x: f32[batch, 4, seq]) -> (%y) {
  %shape: i64[2] = tenon.Dims() {dims=["batch*seq", "4"]} "shape"
  %y: f32[batch*seq, 4] = Reshape(%x, %shape)
}
)");
}

TEST(FoldShapes, KnownSizesBecomeConstants) {
  expect_pass("fold_shapes", R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  %s = Shape(%x) {start=1}
  %y = Cast(%s) {to=6}
})",
              R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  const %y: i32[1] = [4]
}
)");
}

TEST(FoldShapes, NarrowIntegersAreCast) {
  EXPECT_EQ(ops_of(expect_same_results("fold_shapes", R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  %s = Shape(%x)
  %c = Cast(%s) {to=6}
  %y = Add(%c, %c)
})")),
            "Dims Cast");
}

TEST(FoldShapes, SizesThatDataDecidesStay) {
  EXPECT_EQ(ops_of(expect_same_results("fold_shapes", R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  %z = NonZero(%x)
  %y = Shape(%z)
})")),
            "NonZero Shape");
  const auto late = [](const std::string& outputs) {
    return ops_of(expect_same_results("fold_late_shapes", "graph \"g\" (%x: f32[n, 4]) -> (" + outputs + R"() {
  const %i: i64[] = 1
  %z = NonZero(%x)
  %y = Shape(%z)
  %m = Gather(%y, %i)
  %k = Mul(%m, %m)
  %w = Neg(%z)
})"));
  };
  EXPECT_EQ(late("%y, %k, %w"), "NonZero Dims Dims Neg");
  EXPECT_EQ(late("%k"), "NonZero Shape Gather Mul Neg");  // nothing but Shape reads what the sizes are of
}

}  // namespace
}  // namespace tenon
