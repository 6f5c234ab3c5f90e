#include "compiler/golden.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "calibration/observe.h"
#include "calibration/rounding.h"
#include "calibration/work.h"
#include "compiler/drawn.h"
#include "compiler/io_types.h"
#include "compiler/shapes.h"
#include "ir/infer.h"
#include "ir/interpreter.h"

namespace tenon {

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
  auto inputs = draw_inputs(g, shapes, Drawn::noise, 0);
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

// The graph for one of a fixed batch, as what happens to one entry does not depend on the others; as it is where it does not take that.
static Graph of_one(const Graph& g) {
  Graph out = g;
  for (ValueId v : out.inputs) {
    ValueInfo& info = out.value(v).info;
    if (!info.ranked || info.shape.empty() || !info.shape[0].is_const() || !(info.shape[0] == g.info(g.inputs[0]).shape[0])) return g;
    info.shape[0] = Dim(1);
  }
  return infer_graph(out).ok() ? out : g;
}

// The same of a batch that has a range.
static OptimizationProfile of_one(const Graph& g, const OptimizationProfile& profile) {
  OptimizationProfile out = profile;
  for (ValueId v : g.inputs)
    if (const SymShape& shape = g.info(v).shape; !shape.empty() && shape[0].is_symbol())
      if (auto it = out.dims.find(shape[0].to_string()); it != out.dims.end()) it->second.opt = std::max<int64_t>(it->second.min, 1);
  return out;
}

ValueRanges observe_golden(const Graph& g, const OptimizationProfile& profile, std::string& told) {
  const Graph one = of_one(g);
  std::vector<std::vector<Shape>> all = shapes_to_ask(one, of_one(g, profile));
  const size_t optima = all.size();
  OptimizationProfile least = profile;
  for (auto& [symbol, range] : least.dims) range.opt = range.max == kUnbounded ? range.opt : range.min;
  all.push_back(optimum_shapes(one, least));
  Status why;
  for (size_t k = 0; k < all.size(); ++k) {
    auto seen = [&]() -> Result<ValueRanges> {
      // Far enough apart that no input of one sample is drawn as another of the next.
      const std::vector<std::vector<Tensor>> samples{TRY(draw_inputs(one, all[k], Drawn::noise, 0)), TRY(draw_inputs(one, all[k], Drawn::noise, 1000))};
      return observe(one, samples);
    }();
    if (seen.ok()) {
      told = cat("golden inputs at the profile's ", k < optima ? "optimum" : "minimum");
      return std::move(seen).value();
    }
    if (why.ok()) why = seen.status();
  }
  told = cat("none: ", why.message());
  return {};
}

// The graph for images whose sides are shorter, which its rounding errors hardly depend on; nothing where it does not take them.
static std::optional<Graph> smaller(const Graph& g, int64_t by) {
  constexpr int64_t kLong = 256;
  Graph out = g;
  bool any = false;
  for (ValueId v : out.inputs) {
    ValueInfo& info = out.value(v).info;
    if (!info.ranked || info.shape.size() < 4) continue;
    for (size_t d = 1; d < info.shape.size(); ++d)
      if (info.shape[d].is_const() && info.shape[d].constant() >= kLong) info.shape[d] = Dim(info.shape[d].constant() / by), any = true;
  }
  if (!any || !infer_graph(out).ok()) return std::nullopt;
  return out;
}

// The shapes at both ends of a profile that has some, where inputs are not too many numbers to draw.
static std::vector<std::vector<Shape>> ends_of(const Graph& g, const OptimizationProfile& profile) {
  constexpr int64_t kMost = 1 << 22;
  std::vector<std::vector<Shape>> out;
  for (const auto end : {&DimRange::min, &DimRange::max}) {
    OptimizationProfile at = profile;
    for (auto& [symbol, range] : at.dims) {
      if (range.max == kUnbounded) return {};
      range.opt = range.*end;
    }
    double numbers = 0;
    std::vector<Shape> shapes = optimum_shapes(g, at);
    for (const Shape& shape : shapes) numbers += std::accumulate(shape.begin(), shape.end(), 1.0, std::multiplies<>());
    if (numbers <= kMost) out.push_back(std::move(shapes));
  }
  return out;
}

static Result<RoundingChoice> choose(const Graph& g, Narrow to, const std::vector<Rounds>& candidates, const OptimizationProfile& profile,
                                     const std::vector<Drawn>& kinds = {Drawn::noise, Drawn::smooth, Drawn::edges}) {
  // Of the 5e-3, 2e-2 and 6e-2 that answers may be off by, a part: real inputs move some networks further than drawn ones. Less
  // far than noise is from them are fields that have something to see.
  const double allowed = to == Narrow::tf32 ? 1.5e-3 : to == Narrow::f16 ? 5e-3 : 2e-2;
  const auto weight = [](Drawn how) { return how == Drawn::noise ? 1.0 : 0.4; };
  Status why;
  for (const std::vector<Shape>& shapes : shapes_to_ask(g, profile)) {
    // One of each kind, the profile's ends, then more of each: of these as many as the work allows.
    constexpr uint64_t kOfEach = 4;
    constexpr int64_t kMostNumbers = 1 << 22;  // then drawing more takes long itself
    int64_t numbers = 0;
    std::vector<std::vector<Tensor>> samples;
    RoundingOptions options;
    const auto draw = [&](const std::vector<Shape>& at, Drawn how, uint64_t seed) -> Status {
      samples.push_back(TRY(draw_inputs(g, at, how, seed)));
      for (const Tensor& t : samples.back()) numbers += t.size();
      options.weights.push_back(weight(how));
      return {};
    };
    for (uint64_t seed = 0; seed < 1000 * kOfEach && numbers < kMostNumbers; seed += 1000) {
      for (const Drawn how : kinds) TRY(draw(shapes, how, seed));
      if (seed > 0) continue;
      for (const std::vector<Shape>& end : ends_of(g, profile))
        if (end != shapes) TRY(draw(end, Drawn::noise, seed));
    }
    auto choice = choose_by_rounding(g, to, candidates, samples, allowed, options);
    if (choice.ok()) return choice;
    if (why.ok()) why = choice.status();
  }
  return why;
}

std::vector<double> round_golden(const Graph& g, const std::string& precision, const std::vector<Rounds>& candidates,
                                 const OptimizationProfile& profile, std::string& told) {
  const Narrow to = precision == "fp16" ? Narrow::f16 : precision == "bf16" ? Narrow::bf16 : Narrow::tf32;
  const Graph one = without_output_casts(of_one(g));
  auto choice = choose(one, to, candidates, of_one(g, profile));
  if (const auto quarter = choice.ok() ? std::nullopt : smaller(one, 4))
    if (auto again = choose(*quarter, to, candidates, of_one(g, profile)); again.ok()) choice = std::move(again);
  // Fields are flat where so little is left of them, and a norm of what is flat blows rounding errors up.
  if (const auto eighth = choice.ok() ? std::nullopt : smaller(one, 8))
    if (auto again = choose(*eighth, to, candidates, of_one(g, profile), {Drawn::noise}); again.ok()) choice = std::move(again);
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
