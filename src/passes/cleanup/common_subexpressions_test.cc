#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(CommonSubexpressions, NodesAndConstants) {
  expect_pass("common_subexpressions", R"(
graph "g" (%x: f32[n]) -> (%y, %z) {
  const %c: f32[] = 2.0
  const %d: f32[] = 2.0
  %a = Mul(%x, %c)
  %b = Mul(%x, %d)
  %e = LeakyRelu(%a) {alpha=0.5}
  %f = LeakyRelu(%b) {alpha=0.5}
  %h = LeakyRelu(%b) {alpha=0.25}
  %y = Add(%e, %f)
  %z = Add(%e, %h)
})",
              R"(
graph "g" (%x: f32[n]) -> (%y, %z) {
  const %c: f32[] = 2.0
  %a: f32[n] = Mul(%x, %c)
  %e: f32[n] = LeakyRelu(%a) {alpha=0.5}
  %h: f32[n] = LeakyRelu(%a) {alpha=0.25}
  %y: f32[n] = Add(%e, %e)
  %z: f32[n] = Add(%e, %h)
}
)");
}

}  // namespace
}  // namespace tenon
