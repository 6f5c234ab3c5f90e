#include "passes/pass_test.h"

namespace tenon {
namespace {

Graph lowered(std::string_view text, PassOptions options = {}) {
  if (options.precision == "fp32") options.precision = "fp16";
  auto out = run_pass(*find_pass("lower_precision"), parse_or_die(text), options);
  EXPECT_TRUE(out.ok()) << out.status().to_string();
  return out.ok() ? std::move(out).value() : Graph();
}

constexpr const char* kProduct = R"(graph "g" (%x: f32[n, 4]) -> (%y) {
  const %w: f32[4, 8] = random 1
  %y = MatMul(%x, %w)
})";

TEST(LowerPrecision, CastsAtTheEnds) {
  const Graph g = lowered(kProduct);
  EXPECT_EQ(ops_of(g), "Cast MatMul Cast");
  EXPECT_EQ(g.info(g.nodes[1].outputs[0]).dtype, DType::f16);
  EXPECT_EQ(g.info(g.outputs[0]).dtype, DType::f32);
  expect_same_results(parse_or_die(kProduct), g, 2e-3);
}

TEST(LowerPrecision, NothingWithoutIt) {
  const Graph g = parse_or_die(kProduct);
  EXPECT_EQ(print(run_named("lower_precision", g)), print(g));
}

TEST(LowerPrecision, ChainsStayLow) {
  EXPECT_EQ(ops_of(lowered(R"(graph "g" (%x: f32[2, 4]) -> (%z, %s) {
    const %w: f32[4, 4] = random 1
    %y = MatMul(%x, %w)
    %z = Relu(%y)
    %s = Softmax(%z)
  })")),
            "Cast MatMul Relu Softmax Cast Cast");
}

TEST(LowerPrecision, WhatIsPinnedIsCastAround) {
  PassOptions options;
  options.pin_fp32 = {"y"};
  const Graph g = lowered(R"(graph "g" (%x: f32[2, 4]) -> (%z) {
    const %w: f32[4, 4] = random 1
    %a = Relu(%x)
    %y = MatMul(%a, %w)
    %z = Relu(%y)
  })", options);
  EXPECT_EQ(ops_of(g), "Cast Relu Cast MatMul Cast Relu Cast");
}

TEST(LowerPrecision, LargeWeightsStayFinite) {
  const Graph g = lowered(R"(graph "g" (%x: f32[1, 2]) -> (%y) {
    const %w: f32[2, 1] = [-3.4e38, 2.0]
    %y = MatMul(%x, %w)
  })");
  bool any = false;
  for (const Value& v : g.values)
    if (v.is_constant() && v.info.dtype == DType::f16) {
      EXPECT_EQ(v.info.constant.at(0), -65504);
      any = true;
    }
  EXPECT_TRUE(any);
}

TEST(LowerPrecision, ScalesOfResizeStayFloat) {
  const Graph g = lowered(R"(graph "g" (%x: f32[1, 1, 2, 2]) -> (%y) {
    const %s: f32[4] = [1.0, 1.0, 2.0, 2.0]
    %y = Resize(%x, _, %s)
  })");
  EXPECT_EQ(ops_of(g), "Cast Resize Cast");
}

TEST(LowerPrecision, IntegersArriveInTheLowType) {
  const Graph g = lowered(R"(graph "g" (%m: i64[2]) -> (%y) {
    const %c: f32[] = 2.0
    %f = Cast(%m) {to=1}
    %y = Mul(%f, %c)
  })");
  EXPECT_EQ(ops_of(g), "Cast Mul Cast");
}

}  // namespace
}  // namespace tenon
