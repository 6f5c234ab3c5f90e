#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(RemoveNoops, All) {
  expect_pass("remove_noops", R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  const %one: f32[1, 1] = [1.0]
  const %zero: f32[4] = [0.0, 0.0, 0.0, 0.0]
  const %pads: i64[4] = [0, 0, 0, 0]
  const %s: i64[2] = [0, 4]
  const %b: i64[1] = [0]
  const %e: i64[1] = [1000000]
  const %tall: f32[3, 1, 1] = [1.0, 1.0, 1.0]
  %a1 = Identity(%x)
  %a2 = Mul(%a1, %one)
  %a3 = Add(%zero, %a2)
  %a4 = Pad(%a3, %pads)
  %a5 = Reshape(%a4, %s)
  %a6 = Cast(%a5) {to=1}
  %a7 = Concat(%a6) {axis=0}
  %a8 = Transpose(%a7) {perm=[0, 1]}
  %a9 = Dropout(%a8)
  %a10 = Max(%a9)
  %a11 = Slice(%a10, %b, %e, %b)
  %r = Relu(%a11)
  %y = Mul(%r, %tall)
})",
              R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  const %b: i64[1] = [0]
  const %e: i64[1] = [1000000]
  const %tall: f32[3, 1, 1] = [1.0, 1.0, 1.0]
  %a11: f32[min(1000000, n), 4] = Slice(%x, %b, %e, %b)
  %r: f32[min(1000000, n), 4] = Relu(%a11)
  %y: f32[3, min(1000000, n), 4] = Mul(%r, %tall)
}
)");
}

TEST(RemoveNoops, ExpandThatBroadcastingDoes) {
  expect_pass("remove_noops", R"(
graph "g" (%x: f32[n, 4], %m: f32[1, 4]) -> (%y, %z) {
  %s = Shape(%x)
  %e = Expand(%m, %s)
  %y = Add(%x, %e)
  %z = Neg(%e)
})",
              R"(
graph "g" (%x: f32[n, 4], %m: f32[1, 4]) -> (%y, %z) {
  %s: i64[2] = Shape(%x)
  %e: f32[n, 4] = Expand(%m, %s)
  %y: f32[n, 4] = Add(%x, %m)
  %z: f32[n, 4] = Neg(%e)
}
)");
}

TEST(RemoveNoops, EmptyPartsOfConcat) {
  EXPECT_EQ(ops_of(expect_same_results("remove_noops", R"(
graph "g" (%x: f32[2, 3], %e: f32[0, 3]) -> (%y) {
  %c = Concat(%e, %x) {axis=0}
  %y = Relu(%c)
})")),
            "Relu");
}

}  // namespace
}  // namespace tenon
