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

TEST(ControlFlow, AnIfOnAConstantBecomesItsBranch) {
  expect_pass("control_flow", R"(
graph "g" (%x: f32[n, 4]) -> (%y, %z) {
  const %c: bool[] = 1
  %a = Relu(%x)
  %y, %z = If(%c, %a, %x) {captures=2, then_branch=graph "then" (%a: f32[n, 4], %p: f32[n, 4]) -> (%r, %a) {
    const %w: f32[4] = [1.0, 2.0, 3.0, 4.0]
    %r = Add(%p, %w) "inside"
  }, else_branch=graph "else" (%a: f32[n, 4], %p: f32[n, 4]) -> (%a, %p) {
  }} "choice"
})", R"(
graph "g" (%x: f32[n, 4]) -> (%r "y", %a "z") {
  const %w: f32[4] = [1.0, 2.0, 3.0, 4.0]
  %a: f32[n, 4] = Relu(%x)
  %r: f32[n, 4] = Add(%x, %w) "inside"
}
)");
}

TEST(ControlFlow, WhatABranchBringsIsFoldedAndMayDecideAnother) {
  // The rank decides the outer If, the outer If's value the inner one.
  expect_pass("control_flow", R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  const %c: bool[] = 0
  const %two: i64[] = 2
  %y = If(%c, %x, %two) {captures=2, then_branch=graph "t" (%x: f32[n, 4], %two: i64[]) -> (%q) {
    %q = Neg(%x)
  }, else_branch=graph "e" (%x: f32[n, 4], %two: i64[]) -> (%q) {
    %s = Shape(%x)
    %rank = Size(%s)
    %same = Equal(%rank, %two)
    %q = If(%same, %x) {captures=1, then_branch=graph "tt" (%x: f32[n, 4]) -> (%r) {
      %r = Exp(%x)
    }, else_branch=graph "ee" (%x: f32[n, 4]) -> (%r) {
      %r = Sqrt(%x)
    }}
  }}
})", R"(
graph "g" (%x: f32[n, 4]) -> (%r "y") {
  %r: f32[n, 4] = Exp(%x)
}
)");
}

TEST(ControlFlow, ABranchThatContradictsItselfStaysAsItIs) {
  const Graph g = parse_or_die(R"(
graph "g" (%x: f32[2], %c: bool[]) -> (%y) {
  %y = If(%c, %x) {captures=1, then_branch=graph "then" (%p: f32[2]) -> (%q) {
    %i = Identity(%p)
    %q = Neg(%i)
  }, else_branch=graph "else" (%p: f32[2]) -> (%q) {
    const %s: i64[2] = [3, -1]
    %i: f32[2] = Identity(%p)
    %a: f32[*], %q: f32[*] = Split(%i, %s)
  }}
})");
  const Graph h = run_named("control_flow", g);
  EXPECT_EQ(ops_of(*h.nodes[0].attrs.graph("then_branch")), "Neg");
  EXPECT_EQ(ops_of(*h.nodes[0].attrs.graph("else_branch")), "Identity Split");
  EXPECT_EQ(print(run_named("control_flow", h)), print(h));
}

}  // namespace
}  // namespace tenon
