#include "compiler/golden.h"

#include <algorithm>
#include <cstdio>

#include "calibration/observe.h"
#include "calibration/rounding.h"
#include "calibration/work.h"
#include "compiler/shapes.h"
#include "ir/infer.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"

namespace tenon {

static Result<std::vector<Tensor>> draw_inputs(const Graph& g, const std::vector<Shape>& shapes, uint64_t seed) {
  std::vector<Tensor> out;
  for (size_t i = 0; i < shapes.size(); ++i) out.push_back(TRY(random_input(g.info(g.inputs[i]).dtype, shapes[i], seed + i + 1)));
  return out;
}

static bool sizes_known(const Graph& g) {
  for (const Node& n : g.nodes)
    for (ValueId v : n.outputs)
      if (v != kNoValue && (!g.info(v).ranked || !to_concrete(g.info(v).shape))) return false;
  return true;
}

GoldenRecord make_golden(const Graph& imported, const OptimizationProfile& profile) {
  constexpr double kMostWork = 5e8;
  constexpr int64_t kMostBytes = 1 << 20;
  GoldenRecord golden;
  Graph g = imported;
  const std::vector<Shape> shapes = optimum_shapes(g, profile);
  for (size_t i = 0; i < shapes.size(); ++i) {
    g.value(g.inputs[i]).info.ranked = true;
    g.value(g.inputs[i]).info.shape = to_sym(shapes[i]);
  }
  if (Status s = infer_graph(g); !s.ok()) return {"none: " + s.message(), {}, {}};
  double work = 0;
  for (const Node& n : g.nodes) work += node_work(g, n, {}, 1);
  if (!sizes_known(g) || work > kMostWork) {
    golden.source = "none: the references would take long";
    return golden;
  }
  auto inputs = draw_inputs(g, shapes, 0);
  if (!inputs.ok()) return {"none: " + inputs.status().message(), {}, {}};
  golden.inputs = std::move(inputs).value();
  int64_t bytes = 0;
  for (const Tensor& t : golden.inputs) bytes += t.bytes();
  auto outputs = interpret(imported, golden.inputs);
  if (!outputs.ok()) return {"none: " + outputs.status().message(), {}, {}};
  for (const Tensor& t : *outputs) bytes += t.bytes();
  if (bytes > kMostBytes) return {"none: the data would be large", {}, {}};
  golden.outputs = std::move(outputs).value();
  golden.source = "reference";
  return golden;
}

ValueRanges observe_golden(const Graph& g, const OptimizationProfile& profile, std::string& told) {
  OptimizationProfile least = profile;
  for (auto& [symbol, range] : least.dims) range.opt = range.min;
  Status why;
  for (const bool at_minimum : {false, true}) {
    const std::vector<Shape> shapes = optimum_shapes(g, at_minimum ? least : profile);
    auto seen = [&]() -> Result<ValueRanges> {
      // Far enough apart that no input of one sample is drawn as another of the next.
      const std::vector<std::vector<Tensor>> samples{TRY(draw_inputs(g, shapes, 0)), TRY(draw_inputs(g, shapes, 1000))};
      return observe(g, samples);
    }();
    if (seen.ok()) {
      told = cat("golden inputs at the profile's ", at_minimum ? "minimum" : "optimum");
      return std::move(seen).value();
    }
    if (why.ok()) why = seen.status();
  }
  told = cat("none: ", why.message());
  return {};
}

std::vector<double> round_golden(const Graph& g, DType low, const std::vector<bool>& candidates, const OptimizationProfile& profile,
                                 std::string& told) {
  // Of the 2e-2 and 6e-2 that answers may be off by, a part: real inputs move some networks further than drawn ones.
  const double allowed = low == DType::f16 ? 5e-3 : 3e-2;
  auto choice = [&]() -> Result<RoundingChoice> {
    const std::vector<std::vector<Tensor>> samples{TRY(draw_inputs(g, optimum_shapes(g, profile), 0))};
    return choose_by_rounding(g, low, candidates, samples, allowed);
  }();
  if (!choice.ok()) {
    told = cat("not measured: ", choice.status().message());
    return {};
  }
  const int64_t stay = std::count_if(choice->stays.begin(), choice->stays.end(), [](double d) { return d > 0; });
  char text[96];
  if (stay == 0) std::snprintf(text, sizeof text, "moves the outputs by %.1e on golden inputs", choice->all);
  else std::snprintf(text, sizeof text, "would move the outputs by %.1e on golden inputs; as it is by %.1e", choice->all, choice->left);
  told = text;
  return choice->stays;
}

}  // namespace tenon
