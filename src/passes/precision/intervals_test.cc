#include "passes/precision/intervals.h"

#include <cmath>

#include "passes/pass_test.h"

namespace tenon {
namespace {

// Of the graph's only output; what the graph really gives on random inputs must lie within.
Bounds bounds(std::string_view text) {
  Graph g = parse_or_die(text);
  EXPECT_TRUE(infer_graph(g).ok());
  const Bounds b = find_intervals(g)[size_t(g.outputs[0])];
  const auto out = interpret(g, random_inputs(g));
  EXPECT_TRUE(out.ok());
  if (out.ok()) {
    for (int64_t i = 0; i < (*out)[0].size(); ++i)
      EXPECT_TRUE(!std::isfinite((*out)[0].at(i)) || ((*out)[0].at(i) >= b.low - 1e-5 && (*out)[0].at(i) <= b.high + 1e-5)) << text;
  }
  return b;
}

// Of one node on %x, which is any number, %s in [0, 1], %t in [-2, 3] and %c, which is 10.
Bounds of_node(const std::string& node) {
  return bounds(cat(R"(graph "g" (%x: f32[2, 8], %u: f32[2, 8], %v: f32[2, 8]) -> (%y) {
    const %c: f32[] = 10.0
    const %low: f32[] = -2.0
    const %high: f32[] = 3.0
    const %two: f32[] = 2.0
    const %three: f32[] = 3.0
    const %last: i64[1] = [1]
    %s = Sigmoid(%u)
    %t = Clip(%v, %low, %high)
    %y = )", node, "\n}"));
}

void expect_bounds(const std::string& node, double low, double high) {
  const Bounds b = of_node(node);
  EXPECT_NEAR(b.low, low, std::fabs(low) * 1e-6) << node;
  EXPECT_NEAR(b.high, high, std::fabs(high) * 1e-6) << node;
}

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Intervals, FollowTheFormulas) {
  expect_bounds("Mul(%s, %c)", 0, 10);
  expect_bounds("Mul(%t, %c)", -20, 30);
  expect_bounds("Mul(%t, %t)", 0, 9);
  expect_bounds("Pow(%t, %two)", 0, 9);
  expect_bounds("Pow(%t, %three)", -8, 27);
  expect_bounds("Sub(%t, %s)", -3, 3);
  expect_bounds("Neg(%t)", -3, 2);
  expect_bounds("Abs(%t)", 0, 3);
  expect_bounds("Exp(%t)", std::exp(-2.0), std::exp(3.0));
  expect_bounds("Sin(%x)", -1, 1);
  expect_bounds("Tanh(%x)", -1, 1);
  expect_bounds("Erf(%x)", -1, 1);
  expect_bounds("HardSigmoid(%x)", 0, 1);
  expect_bounds("Sqrt(%s)", 0, 1);
  expect_bounds("Div(%c, %c)", 1, 1);
}

TEST(Intervals, WhatIsNotKnownStaysOpen) {
  EXPECT_EQ(of_node("Relu(%x)").low, 0);
  EXPECT_EQ(of_node("Relu(%x)").high, kInf);
  EXPECT_EQ(of_node("Mul(%x, %c)"), Bounds());
  EXPECT_EQ(of_node("Div(%c, %s)").high, kInf);
  EXPECT_EQ(of_node("Reciprocal(%t)"), Bounds());
  EXPECT_EQ(of_node("Exp(%x)").high, kInf);
}

TEST(Intervals, MovementAndReductions) {
  expect_bounds("Transpose(%t) {perm=[1, 0]}", -2, 3);
  expect_bounds("Concat(%t, %s) {axis=0}", -2, 3);
  expect_bounds("Softmax(%x)", 0, 1);
  expect_bounds("ReduceMean(%t, %last)", -2, 3);
  expect_bounds("ReduceSum(%t, %last)", -16, 24);
  expect_bounds("ReduceSumSquare(%t, %last)", 0, 72);
  EXPECT_TRUE(of_node("Concat(%t, %s) {axis=0}").reached);
  EXPECT_FALSE(of_node("ReduceSum(%t, %last)").reached);
}

TEST(Intervals, ProductsTakeTheSumOfMagnitudes) {
  const Bounds b = bounds(R"(graph "g" (%x: f32[4, 2]) -> (%y) {
    const %w: f32[2, 3] = [1.0, 2.0, 3.0, -4.0, 5.0, -6.0]
    %s = Sigmoid(%x)
    %y = MatMul(%s, %w)
  })");
  EXPECT_EQ(b.high, 9);
  EXPECT_FALSE(b.reached);
  const Bounds conv = bounds(R"(graph "g" (%x: f32[1, 2, 3, 3]) -> (%y) {
    const %w: f32[2, 2, 1, 1] = [1.0, 2.0, 3.0, -4.0]
    const %b: f32[2] = [0.5, -1.0]
    %s = Tanh(%x)
    %y = Conv(%s, %w, %b)
  })");
  EXPECT_EQ(conv.high, 8);
}

TEST(Intervals, NormsAreBoundedByTheirLength) {
  const Bounds b = bounds(R"(graph "g" (%x: f32[3, 16]) -> (%y) {
    const %w: f32[16] = random 1
    %y = RMSNormalization(%x, %w)
  })");
  EXPECT_LT(b.high, 4 * 8);
  EXPECT_GT(b.high, 4);
}

}  // namespace
}  // namespace tenon
