#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(Reshapes, ChainsBecomeOne) {
  expect_pass("reshapes", R"(
graph "g" (%x: f32[n, 12]) -> (%y) {
  const %one: i64[1] = [1]
  %u = Unsqueeze(%x, %one) "u"
  %d = tenon.Dims() {dims=["n", "3", "4"]}
  %y = Reshape(%u, %d) "r"
})",
              R"(
graph "g" (%x: f32[n, 12]) -> (%y) {
  const %y.shape: i64[3] = [0, 3, 4]
  %y: f32[n, 3, 4] = Reshape(%x, %y.shape) "r" from ["r", "u"]
}
)");
}

TEST(Reshapes, ThereAndBackIsNothing) {
  EXPECT_EQ(ops_of(expect_same_results("reshapes", R"(
graph "g" (%x: f32[n, 3, 4]) -> (%y) {
  %f = Flatten(%x)
  const %s: i64[3] = [-1, 3, 4]
  %b = Reshape(%f, %s)
  %y = Relu(%b)
})")),
            "Relu");
}

TEST(Reshapes, MoveBehindActivations) {
  EXPECT_EQ(ops_of(expect_same_results("reshapes", R"(
graph "g" (%x: f32[n, 3, 4]) -> (%y) {
  const %s: i64[2] = [-1, 12]
  const %half: f32[1] = [0.5]
  %f = Reshape(%x, %s)
  %a = Mul(%f, %half)
  %y = Tanh(%a)
})")),
            "Mul Tanh Reshape");
}

TEST(Reshapes, TwoUnknownSizesStay) {
  EXPECT_EQ(ops_of(expect_same_results("reshapes", R"(
graph "g" (%x: f32[n, m]) -> (%y) {
  %d = tenon.Dims() {dims=["m", "n"]}
  %y = Reshape(%x, %d)
})")),
            "Dims Reshape");
}

}  // namespace
}  // namespace tenon
