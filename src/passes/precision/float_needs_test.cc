#include "passes/precision/float_needs.h"

#include "passes/pass_test.h"

namespace tenon {
namespace {

ValueRange range(double low, double high) {
  ValueRange r;
  r.low = low, r.high = high;
  return r;
}

struct Lowered {
  Graph graph;
  std::vector<KeptFloat> kept;

  std::string kept_ops() const {
    std::vector<std::string> out;
    for (const KeptFloat& k : kept) out.push_back(cat(k.op, ":", k.rule));
    return join(out, " ");
  }
};

Lowered lower(std::string_view text, PassOptions options = {}) {
  Lowered out;
  if (options.precision == "fp32") options.precision = "fp16";
  options.kept = [&](const KeptFloat& k) { out.kept.push_back(k); };
  auto g = run_pass(*find_pass("lower_precision"), parse_or_die(text), options);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  if (g.ok()) out.graph = std::move(g).value();
  return out;
}

// Lowered, it gives what the float32 graph gives.
Lowered lower_right(std::string_view text, double tolerance = 2e-2, PassOptions options = {}) {
  Lowered out = lower(text, options);
  expect_same_results(parse_or_die(text), out.graph, tolerance);
  return out;
}

// ---- range -------------------------------------------------------------------------------------------------------

// Its middle is a million large; its ends are ordinary.
constexpr const char* kLargeMiddle = R"(graph "g" (%x: f32[4, 8]) -> (%y) {
  const %w: f32[8, 8] = random 1
  const %up: f32[] = 1000.0
  const %down: f32[] = 1e-06
  %a = MatMul(%x, %w) "a"
  %b = Mul(%a, %up) "b"
  %c = Mul(%b, %up) "c"
  %d = Transpose(%c) {perm=[1, 0]} "d"
  %e = Mul(%d, %down) "e"
  %y = MatMul(%e, %a)
})";

TEST(FloatNeeds, ALargeMiddleStays) {
  PassOptions options;
  options.observe = [](const Graph&) {
    return ValueRanges{{"x", range(-3, 3)}, {"a", range(-9, 9)}, {"b", range(-9e3, 9e3)}, {"c", range(-9e6, 8e6)}, {"d", range(-9e6, 8e6)},
                       {"e", range(-9, 8)}, {"y", range(-90, 80)}};
  };
  const Lowered l = lower_right(kLargeMiddle, 2e-2, options);
  EXPECT_EQ(l.kept_ops(), "Mul:range Transpose:range Mul:range");
  ASSERT_EQ(l.kept.size(), 3u);
  EXPECT_EQ(l.kept[0].value, "c");
  EXPECT_EQ(l.kept[0].why, "reached -9e+06 on golden inputs");
  EXPECT_EQ(l.kept[0].origins, std::vector<std::string>{"c"});
}

TEST(FloatNeeds, WithAMarginForOtherInputs) {
  const auto kept = [](double most) {
    PassOptions options;
    options.observe = [most](const Graph&) { return ValueRanges{{"b", range(0, most)}}; };
    return lower(kLargeMiddle, options).kept_ops();
  };
  EXPECT_EQ(kept(16000), "Mul:statistics");
  EXPECT_EQ(kept(17000), "Mul:range Mul:range Mul:statistics");
}

TEST(FloatNeeds, IntervalsAcquit) {
  PassOptions options;
  options.observe = [](const Graph&) { return ValueRanges{{"y", range(0, 30000)}}; };  // beyond, with the margin
  EXPECT_EQ(lower(R"(graph "g" (%x: f32[4]) -> (%y) {
    const %c: f32[] = 30000.0
    %s = Sigmoid(%x)
    %y = Mul(%s, %c)
  })", options).kept_ops(), "");
}

TEST(FloatNeeds, IntervalsConvict) {
  const Lowered l = lower_right(R"(graph "g" (%x: f32[4]) -> (%y) {
    const %c: f32[] = 1e6
    %s = Sigmoid(%x)
    %l = Mul(%s, %c)
    %y = Sqrt(%l)
  })");
  EXPECT_EQ(l.kept_ops(), "Mul:range Sqrt:range");
  EXPECT_EQ(l.kept[0].why, "may reach 1e+06");
}

TEST(FloatNeeds, WorstCasesOfProductsDoNotConvict) {
  EXPECT_EQ(lower(R"(graph "g" (%x: f32[2, 4096]) -> (%y) {
    const %w: f32[4096, 4] = random 1
    const %c: f32[] = 100.0
    %t = Tanh(%x)
    %s = Mul(%t, %c)
    %y = MatMul(%s, %w)
  })").kept_ops(), "");
}

TEST(FloatNeeds, NumbersThatAreAllSmallStay) {
  PassOptions options;
  options.observe = [](const Graph&) { return ValueRanges{{"a", range(-2e-6, 1e-6)}, {"b", range(0, 0)}}; };
  EXPECT_EQ(lower(R"(graph "g" (%x: f32[2, 4]) -> (%y) {
    const %w: f32[4, 4] = random 1
    %a = MatMul(%x, %w)
    %b = Relu(%a)
    %y = Relu(%b)
  })", options).kept_ops(), "MatMul:range Relu:range");
}

TEST(FloatNeeds, SmallNumbersThatAreAddedToLargerOnesMove) {
  PassOptions options;
  options.observe = [](const Graph&) { return ValueRanges{{"a", range(-2e-6, 1e-6)}, {"t", range(-2e-6, 1e-6)}, {"y", range(-2, 2)}}; };
  EXPECT_EQ(lower(R"(graph "g" (%x: f32[4, 4]) -> (%y) {
    const %w: f32[4, 4] = random 1
    %a = MatMul(%x, %w)
    %t = Transpose(%a) {perm=[1, 0]}
    %y = Add(%t, %x)
  })", options).kept_ops(), "");
}

TEST(FloatNeeds, NothingIsAskedForBf16) {
  PassOptions options;
  options.precision = "bf16";
  options.observe = [](const Graph&) -> ValueRanges { ADD_FAILURE(); return {}; };
  EXPECT_EQ(lower(kLargeMiddle, options).kept_ops(), "");
}

// ---- masks -------------------------------------------------------------------------------------------------------

TEST(FloatNeeds, MaskedScoresMayMove) {
  for (const char* mask : {"-3.4028234663852886e38", "-1e9", "-10000.0"})
    for (const char* precision : {"fp16", "bf16"}) {
      PassOptions options;
      options.precision = precision;
      const Lowered l = lower_right(cat(R"(graph "g" (%q: f32[2, 3, 4], %k: f32[2, 4, 5], %m: i64[2, 1, 5]) -> (%y) {
        const %one: f32[] = 1.0
        const %low: f32[] = )", mask, R"(
        %f = Cast(%m) {to=1}
        %z = Sub(%one, %f)
        %b = Cast(%m) {to=9}
        %s = MatMul(%q, %k)
        %w = Where(%b, %s, %low)
        %y = Softmax(%w)
      })"), 8e-2, options);
      EXPECT_EQ(l.kept_ops(), "") << mask << " " << precision;
    }
}

TEST(FloatNeeds, AMaskIsMadeInFloatAndAddedBelow) {
  // The row whose every score is masked stays a distribution.
  const char* text = R"(graph "g" (%q: f32[2, 3, 4], %k: f32[2, 4, 5], %m: bool[2, 1, 5]) -> (%y) {
    const %one: f32[] = 1.0
    const %low: f32[] = -3.4028234663852886e38
    %f = Cast(%m) {to=1}
    %z = Sub(%one, %f)
    %a = Mul(%z, %low)
    %s = MatMul(%q, %k)
    %w = Add(%s, %a)
    %y = Softmax(%w)
  })";
  const Lowered l = lower(text);
  EXPECT_EQ(l.kept_ops(), "Mul:range");
  std::vector<Tensor> in = random_inputs(parse_or_die(text));
  for (int64_t i = 0; i < in[2].size(); ++i) in[2].set_int(i, i >= 5 && i % 2 == 0);
  const auto got = interpret(l.graph, in), want = interpret(parse_or_die(text), in);
  ASSERT_TRUE(got.ok() && want.ok());
  for (int64_t i = 0; i < 15; ++i) EXPECT_TRUE((*got)[0].at(i) >= 0 && (*got)[0].at(i) <= 1) << i;
  for (int64_t i = 15; i < 30; ++i) EXPECT_NEAR((*got)[0].at(i), (*want)[0].at(i), 1e-2);
}

TEST(FloatNeeds, AMaskThatIsAlsoAResultStaysWhole) {
  const Lowered l = lower(R"(graph "g" (%s: f32[2, 5], %m: bool[2, 5]) -> (%w, %y) {
    const %low: f32[] = -1e9
    %w = Where(%m, %s, %low)
    %y = Softmax(%w)
  })");
  EXPECT_EQ(l.kept_ops(), "Where:range");
}

// ---- positions ---------------------------------------------------------------------------------------------------

TEST(FloatNeeds, BoxesStayBehindTheFeatures) {
  const Lowered l = lower(R"(graph "g" (%x: f32[1, 8, 4, 4]) -> (%boxes, %y) {
    const %w: f32[4, 8, 1, 1] = random 1
    const %v: f32[1, 8, 1, 1] = random 2
    const %anchors: f32[1, 16, 4] = random 3
    const %shape: i64[3] = [1, 16, 4]
    const %line: i64[3] = [1, 1, 16]
    const %many: i64[] = 5
    %r = Relu(%x)
    %c = Conv(%r, %w)
    %d = Reshape(%c, %shape)
    %e = Exp(%d)
    %boxes = Mul(%e, %anchors)
    %k = Conv(%r, %v)
    %l = Reshape(%k, %line)
    %s = Sigmoid(%l)
    %y = NonMaxSuppression(%boxes, %s, %many)
  })");
  EXPECT_EQ(l.kept_ops(), "Reshape:position Exp:position Mul:position Reshape:position Sigmoid:position");
  EXPECT_EQ(l.kept[1].why, "NonMaxSuppression '' decides by it");
}

TEST(FloatNeeds, FeaturesThatAreComparedMove) {
  EXPECT_EQ(lower(R"(graph "g" (%x: f32[2, 8]) -> (%z) {
    const %w: f32[8, 8] = random 1
    const %zero: f32[] = 0.0
    %a = MatMul(%x, %w)
    %p = Greater(%a, %zero)
    %y = Where(%p, %a, %zero)
    %z = MatMul(%y, %w)
  })").kept_ops(), "");
}

TEST(FloatNeeds, AnglesOfPositionsStay) {
  const Lowered l = lower_right(R"(graph "g" (%p: i64[6, 1]) -> (%y) {
    const %far: f32[] = 1234.0
    const %f: f32[1, 4] = [1.0, 0.3, 0.1, 0.03]
    %q = Cast(%p) {to=1}
    %r = Add(%q, %far)
    %a = MatMul(%r, %f)
    %y = Cos(%a)
  })", 1e-6);
  EXPECT_EQ(l.kept_ops(), "Cast:position Add:position MatMul:position Cos:position");
}

TEST(FloatNeeds, IndicesMadeOfFloatsStay) {
  const Lowered l = lower_right(R"(graph "g" (%d: i64[50]) -> (%y) {
    const %s: f32[] = 2.1
    const %many: f32[] = 3000.0
    %f = Cast(%d) {to=1}
    %a = Add(%f, %many)
    %b = Div(%a, %s)
    %y = Cast(%b) {to=7}
  })", 0);
  EXPECT_EQ(l.kept_ops(), "Cast:position Add:position Div:position Cast:position");
}

// ---- statistics --------------------------------------------------------------------------------------------------

TEST(FloatNeeds, StatisticsStay) {
  PassOptions options;
  options.skip = {"find_norms"};
  const Lowered l = lower_right(R"(graph "g" (%x: f32[4, 8]) -> (%y) {
    const %last: i64[1] = [1]
    const %tiny: f32[] = 1e-3
    const %eps: f32[] = 1e-12
    %s = Mul(%x, %tiny)
    %m = ReduceMean(%s, %last)
    %d = Sub(%s, %m)
    %q = Mul(%d, %d)
    %v = ReduceMean(%q, %last)
    %e = Add(%v, %eps)
    %r = Sqrt(%e)
    %y = Div(%d, %r)
  })", 2e-2, options);
  EXPECT_EQ(l.kept_ops(), "Mul:statistics ReduceMean:statistics Add:statistics Sqrt:statistics Div:statistics");
}

TEST(FloatNeeds, GuardsStay) {
  const Lowered l = lower_right(R"(graph "g" (%x: f32[4, 8]) -> (%y) {
    const %last: i64[1] = [1]
    const %zero: f32[] = 0.0
    const %eps: f32[] = 1e-9
    %a = Mul(%x, %zero)
    %s = ReduceSum(%a, %last)
    %g = Add(%s, %eps)
    %y = Div(%a, %g)
  })");
  EXPECT_EQ(l.kept_ops(), "Add:statistics Div:statistics");
}

// ---- pins --------------------------------------------------------------------------------------------------------

TEST(FloatNeeds, PinsTakeNamesAndOperators) {
  const auto kept = [](const char* pattern) {
    PassOptions options;
    options.pin_fp32 = {pattern};
    return lower(R"(graph "g" (%x: f32[2, 4]) -> (%z) {
      const %w: f32[4, 4] = random 1
      %a = MatMul(%x, %w) "layer.1/first"
      %b = Relu(%a) "layer.1/act"
      %z = MatMul(%b, %w) "layer.2/second"
    })", options).kept_ops();
  };
  EXPECT_EQ(kept("layer.1/*"), "MatMul:pinned Relu:pinned");
  EXPECT_EQ(kept("MatMul"), "MatMul:pinned MatMul:pinned");
  EXPECT_EQ(kept("b"), "Relu:pinned");
  EXPECT_EQ(kept("none"), "");
}

TEST(FloatNeeds, WhatIsPinnedLowMovesWhateverARuleSays) {
  const auto kept = [](const std::vector<std::string>& low, const std::vector<std::string>& high) {
    PassOptions options;
    options.pin_low = low;
    options.pin_fp32 = high;
    options.rounding = [](const Graph&, const std::vector<Rounds>& candidates) {
      std::vector<double> moved;
      for (Rounds r : candidates) moved.push_back(r == Rounds::may ? 1 : 0);
      return moved;
    };
    return lower(R"(graph "g" (%x: f32[2, 4]) -> (%i, %y) {
      const %w: f32[4, 4] = random 1
      %a = MatMul(%x, %w)
      %s = Add(%a, %x)
      %i = ArgMax(%s)
      %y = MatMul(%x, %w)
    })", options).kept_ops();
  };
  EXPECT_EQ(kept({}, {}), "MatMul:rounding Add:position ArgMax:position MatMul:rounding");
  EXPECT_EQ(kept({"*"}, {}), "");
  EXPECT_EQ(kept({"Add", "y"}, {}), "MatMul:rounding ArgMax:position");
  EXPECT_EQ(kept({"*"}, {"y"}), "MatMul:pinned");
}

}  // namespace
}  // namespace tenon
