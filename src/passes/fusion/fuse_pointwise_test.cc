#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(FusePointwise, OneLoop) {
  expect_pass("fuse_pointwise", R"(
graph "g" (%x: f32[n, 2], %z: f32[2]) -> (%y, %a) {
  const %half: f32[] = 0.5
  %a = Exp(%x) "exp"
  %b = Mul(%a, %half) "half"
  %y = Add(%b, %z) "add"
})",
              R"(
graph "g" (%x: f32[n, 2], %z: f32[2]) -> (%y, %a) {
  %a: f32[n, 2], %y: f32[n, 2] = tenon.Fused(%x, %z) {body=graph "pointwise" (%x: f32[n, 2], %z: f32[2]) -> (%a, %y) {
    const %half: f32[] = 0.5
    %a: f32[n, 2] = Exp(%x) "exp"
    %b: f32[n, 2] = Mul(%a, %half) "half"
    %y: f32[n, 2] = Add(%b, %z) "add"
  }, kind="pointwise"} "add" from ["exp", "half", "add"]
}
)");
}

std::string fused(const std::string& nodes) {
  return ops_of(expect_same_results("fuse_pointwise", cat("graph \"g\" (%x: f32[n, 4], %z: f32[4, 4], %i: i64[m]) -> (%y) {", nodes, "}")));
}

TEST(FusePointwise, ALoneNodeStays) { EXPECT_EQ(fused("%a = Exp(%x) %y = Softmax(%a)"), "Exp Softmax"); }

TEST(FusePointwise, NoGroupWaitsForItself) {
  // The sum needs both sides of the product, so it cannot be in one group with Exp.
  EXPECT_EQ(fused("%a = Exp(%x) %m = MatMul(%a, %z) %y = Add(%a, %m)"), "Exp MatMul Add");
  EXPECT_EQ(fused("%a = Exp(%x) %b = Neg(%a) %m = MatMul(%a, %z) %c = Relu(%m) %d = Add(%c, %b) %y = Abs(%d)"),
            "Fused(Exp Neg) MatMul Fused(Relu Add Abs)");
}

TEST(FusePointwise, TwoGroupsDoNotWaitForEachOther) {
  // a1 -> s -> b1 and b2 -> t -> a2: each group alone is fine, both together would wait for each other.
  const std::string ops = fused(
      "%a1 = Exp(%x) %b2 = Neg(%x) %s = Softmax(%a1) %t = Softmax(%b2) %b1 = Add(%s, %b2) %a2 = Add(%t, %a1) %y = Mul(%a2, %b1)");
  EXPECT_NE(ops.find("Fused"), std::string::npos);
}

TEST(FusePointwise, TypesMayChange) {
  EXPECT_EQ(fused("%a = Cast(%x) {to=7} %b = Add(%a, %a) %y = Cast(%b) {to=1}"), "Fused(Cast Add Cast)");
}

TEST(FusePointwise, SmallIntegersStay) { EXPECT_EQ(fused("%a = Add(%i, %i) %y = Mul(%a, %i)"), "Add Mul"); }

}  // namespace
}  // namespace tenon
