#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(ControlFlow, BodiesAreOptimised) {
  const Graph g = expect_same_results("control_flow", R"(
graph "g" (%x: f32[n, 4], %c: bool[]) -> (%y) {
  %y = If(%c, %x) {captures=1, then_branch=graph "then" (%a: f32[n, 4]) -> (%r) {
    %i = Identity(%a)
    %e = Exp(%i)
    %r = Neg(%e)
  }, else_branch=graph "else" (%a: f32[n, 4]) -> (%r) {
    const %w: f32[4, 4] = random 1
    %m = MatMul(%a, %w)
    %r = Relu(%m)
  }}
})");
  EXPECT_EQ(ops_of(*g.nodes[0].attrs.graph("then_branch")), "Fused(Exp Neg)");
  EXPECT_EQ(ops_of(*g.nodes[0].attrs.graph("else_branch")), "Fused(MatMul Relu)");
}

}  // namespace
}  // namespace tenon
