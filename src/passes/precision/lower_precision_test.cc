#include "passes/known.h"
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

TEST(LowerPrecision, WhatGrowsForFloatReadersStays) {
  const auto ops = [](const std::string& scales, const std::string& rest) {
    return ops_of(lowered(cat(R"(graph "g" (%x: f32[n, 4, 8, 8]) -> (%y) {
    const %w: f32[4, 4, 1, 1] = random 1
    const %s: f32[4] = )", scales, R"(
    %c = Conv(%x, %w)
    )", rest, "}")));
  };
  EXPECT_EQ(ops("[1.0, 1.0, 2.0, 2.0]", "%y = Resize(%c, _, %s)"), "Cast Conv Cast Resize");
  EXPECT_EQ(ops("[1.0, 1.0, 0.5, 0.5]", "%y = Resize(%c, _, %s)"), "Cast Conv Resize Cast");
  EXPECT_EQ(ops("[1.0, 1.0, 2.0, 2.0]", "%r = Resize(%c, _, %s) %y = Relu(%r)"), "Cast Conv Resize Relu Cast");
}

// A view has no arithmetic to gain by, and would round what float32 nodes read.
TEST(LowerPrecision, ViewsGoWithTheirReaders) {
  PassOptions options;
  options.pin_fp32 = {"Sin"};
  constexpr const char* kText = R"(graph "g" (%x: f32[4, 1]) -> (%y, %z) {
    const %shape: i64[2] = [2, 2]
    %a = Squeeze(%x)
    %s = Sin(%a)
    %y = Reshape(%s, %shape)
    %b = Squeeze(%x)
    %z = Relu(%b)
  })";
  const Graph g = lowered(kText, options);
  for (const Node& n : g.nodes)
    if (is_op(n, "Sin") || is_op(n, "Reshape")) EXPECT_EQ(g.info(n.inputs[0]).dtype, DType::f32) << n.op->name;
    else if (is_op(n, "Relu")) EXPECT_EQ(g.info(n.inputs[0]).dtype, DType::f16);
  EXPECT_EQ(ops_of(g), "Squeeze Sin Reshape Cast Squeeze Relu Cast");
}

TEST(LowerPrecision, ScalesOfResizeStayFloat) {
  const Graph g = lowered(R"(graph "g" (%x: f32[1, 1, 2, 2]) -> (%y) {
    const %s: f32[4] = [1.0, 1.0, 2.0, 2.0]
    %r = Resize(%x, _, %s)
    %y = Relu(%r)
  })");
  EXPECT_EQ(ops_of(g), "Cast Resize Relu Cast");
}

TEST(LowerPrecision, IntegersArriveInTheLowType) {
  const Graph g = lowered(R"(graph "g" (%m: i64[2]) -> (%y) {
    const %c: f32[] = 2.0
    %f = Cast(%m) {to=1}
    %y = Mul(%f, %c)
  })");
  EXPECT_EQ(ops_of(g), "Cast Mul Cast");
}

// ---- tf32 --------------------------------------------------------------------------------------------------------

PassOptions tf32() {
  PassOptions options;
  options.precision = "tf32";
  return options;
}

std::vector<std::string> exact_nodes(const Graph& g) {
  std::vector<std::string> out;
  for (const Node& n : g.nodes)
    if (n.attrs.i("exact")) out.push_back(g.value(n.outputs[0]).name);
  return out;
}

constexpr const char* kProducts = R"(graph "g" (%x: f32[2, 4, 6, 6]) -> (%p) {
  const %w: f32[8, 4, 3, 3] = random 1
  const %d: f32[8, 1, 3, 3] = random 2
  const %m: f32[2, 5] = random 3
  %c = Conv(%x, %w)
  %r = Relu(%c)
  %s = Conv(%r, %d) {group=8}
  %p = MatMul(%s, %m)
})";

TEST(LowerPrecision, InTf32TypesStay) {
  const Graph g = lowered(kProducts, tf32());
  EXPECT_EQ(print(g), print(run_named("lower_precision", parse_or_die(kProducts))));
}

TEST(LowerPrecision, InTf32WhatMovesTheAnswersIsExact) {
  PassOptions options = tf32();
  std::vector<KeptFloat> kept;
  options.rounding = [](const Graph&, const std::vector<Rounds>& candidates) {
    EXPECT_EQ(candidates, (std::vector<Rounds>{Rounds::may, Rounds::no, Rounds::no, Rounds::may}));
    return std::vector<double>{0.02, 0, 0, 0};
  };
  options.kept = [&](const KeptFloat& k) { kept.push_back(k); };
  EXPECT_EQ(exact_nodes(lowered(kProducts, options)), std::vector<std::string>{"c"});
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].rule, "rounding");
  EXPECT_EQ(kept[0].op, "Conv");
  EXPECT_NE(kept[0].why.find("2.0e-02"), std::string::npos);
}

TEST(LowerPrecision, InTf32PinsAreExact) {
  PassOptions options = tf32();
  options.pin_fp32 = {"p", "r"};  // a Relu has no factors
  EXPECT_EQ(exact_nodes(lowered(kProducts, options)), std::vector<std::string>{"p"});
}

// As rotary embeddings do it: at position 2000 a rounded frequency is another angle.
TEST(LowerPrecision, InTf32AnglesAreExact) {
  EXPECT_EQ(exact_nodes(lowered(R"(graph "g" (%at: f32[n, 1], %x: f32[n, 8]) -> (%y) {
    const %frequencies: f32[1, 8] = random 1
    const %w: f32[8, 8] = random 2
    %angle = MatMul(%at, %frequencies)
    %c = Cos(%angle)
    %turned = Mul(%x, %c)
    %y = MatMul(%turned, %w)
  })", tf32())), std::vector<std::string>{"angle"});
}

TEST(LowerPrecision, FusedProductsStayExact) {
  PassOptions options = tf32();
  options.pin_fp32 = {"c"};
  const Graph g = optimize(parse_or_die(kProducts), options).value();
  int exact = 0, fused = 0;
  for (const Node& n : g.nodes) {
    const GraphPtr body = n.op->domain == "tenon" ? n.attrs.graph("body") : nullptr;
    exact += body ? body->nodes[0].attrs.i("exact") != 0 : n.attrs.i("exact") != 0;
    fused += body && body->nodes[0].attrs.i("exact") != 0;
  }
  EXPECT_EQ(exact, 1);
  EXPECT_EQ(fused, 1);
}

}  // namespace
}  // namespace tenon
