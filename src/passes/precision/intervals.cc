#include "passes/precision/intervals.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ir/scalar_region.h"
#include "passes/known.h"

namespace tenon {

namespace {

// A node and what its inputs lie between.
struct Seen {
  const Graph& g;
  const Node& node;
  std::vector<Bounds> in;

  bool has(size_t i) const { return i < node.inputs.size() && node.inputs[i] != kNoValue; }
  bool floats(size_t i) const { return has(i) && is_float(g.info(node.inputs[i]).dtype); }
  const Tensor* constant(size_t i) const { return has(i) && g.is_constant(node.inputs[i]) ? &g.constant(node.inputs[i]) : nullptr; }
};

Bounds constant_bounds(const Tensor& t) {
  Bounds out{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (int64_t i = 0, n = t.size(); i < n; ++i) {
    const double x = t.at(i);
    if (!std::isfinite(x)) continue;  // every float type has infinity and NaN
    out.low = std::min(out.low, x);
    out.high = std::max(out.high, x);
  }
  return out.low <= out.high ? out : Bounds{0, 0};
}

// Any number of magnitude up to `most`, which hardly any input reaches.
Bounds at_most(double most) { return {-most, most, false}; }

// ---- rules: what output 0 lies between ---------------------------------------------------------------------------

// Elements of the float inputs and nothing else.
Bounds selects(const Seen& s) {
  std::optional<Bounds> out;
  for (size_t i = 0; i < s.in.size(); ++i)
    if (s.floats(i)) out = out ? hull(*out, s.in[i]) : s.in[i];
  return out.value_or(Bounds());
}

Bounds selects_or_zero(const Seen& s) { return hull(selects(s), {0, 0}); }
Bounds first(const Seen& s) { return s.in[0]; }
Bounds averages(const Seen& s) { return {s.in[0].low, s.in[0].high, false}; }
Bounds averages_with_zeros(const Seen& s) { return hull(averages(s), {0, 0}); }
Bounds probability(const Seen&) { return {0, 1}; }
Bounds log_probability(const Seen&) { return {-std::numeric_limits<double>::infinity(), 0}; }

Bounds resizes(const Seen& s) { return s.node.attrs.s("mode") == "cubic" ? Bounds() : averages_with_zeros(s); }

// How many elements each result of a reduction is made of; nothing where a size is open.
std::optional<double> reduced_count(const Seen& s) {
  const ValueInfo& x = s.g.info(s.node.inputs[0]);
  const auto axes = reduced_axes(s.g, s.node);
  if (!x.ranked || !axes) return std::nullopt;
  double n = 1;
  for (int64_t axis : *axes) {
    if (!x.shape[size_t(axis)].is_const()) return std::nullopt;
    n *= double(x.shape[size_t(axis)].constant());
  }
  return n;
}

Bounds sums(const Seen& s) {
  const auto n = reduced_count(s);
  if (!n) return s.in[0].low >= 0 ? Bounds{0} : Bounds();
  return {std::min(0.0, s.in[0].low * *n), std::max(0.0, s.in[0].high * *n), false};
}
Bounds sums_squares(const Seen& s) {
  const auto n = reduced_count(s);
  const double most = s.in[0].largest();
  return {0, n ? most * most * *n : std::numeric_limits<double>::infinity(), false};
}
Bounds root_of_squares(const Seen& s) { return {0, std::sqrt(sums_squares(s).high), false}; }

double largest(const Tensor* t, double otherwise) { return t ? constant_bounds(*t).largest() : otherwise; }

// The sum of magnitudes that each output takes from a constant weight, the largest: of [outer, n, inner], over outer and inner
// or over n.
double largest_sum(const Tensor& w, int64_t outer, int64_t n, int64_t inner, bool over_n) {
  std::vector<double> sums(size_t(over_n ? outer * inner : n));
  for (int64_t o = 0, at = 0; o < outer; ++o)
    for (int64_t k = 0; k < n; ++k)
      for (int64_t i = 0; i < inner; ++i, ++at) sums[size_t(over_n ? o * inner + i : k)] += std::fabs(w.at(at));
  return sums.empty() ? 0 : *std::max_element(sums.begin(), sums.end());
}

Bounds convolves(const Seen& s) {
  const Tensor* w = s.constant(1);
  if (!s.in[0].finite() || !w || w->rank() < 2 || w->size() == 0 || (s.has(2) && !s.constant(2))) return {};
  return at_most(s.in[0].largest() * largest_sum(*w, 1, w->dim(0), w->size() / w->dim(0), false) + largest(s.constant(2), 0));
}

Bounds convolves_transposed(const Seen& s) {
  const Tensor* w = s.constant(1);  // [C, M / groups, kernel]
  if (!s.in[0].finite() || !w || w->rank() < 2 || w->size() == 0 || (s.has(2) && !s.constant(2))) return {};
  return at_most(s.in[0].largest() * largest_sum(*w, w->dim(0), w->dim(1), w->size() / w->dim(0) / w->dim(1), false) + largest(s.constant(2), 0));
}

// Of a weight [..., rows, columns], the largest sum along rows.
double column_sum(const Tensor& w, bool transposed) {
  const int64_t rows = w.rank() > 1 ? w.dim(w.rank() - 2) : w.size(), columns = w.rank() > 1 ? w.dim(w.rank() - 1) : 1;
  if (w.size() == 0) return 0;
  return transposed ? largest_sum(w, w.size() / columns, columns, 1, true) : largest_sum(w, w.size() / rows / columns, rows, columns, true);
}

Bounds multiplies(const Seen& s) {
  const Tensor* w = s.constant(1);
  if (!s.in[0].finite() || !w) return {};
  return at_most(s.in[0].largest() * column_sum(*w, false));
}

Bounds gemm(const Seen& s) {
  const Tensor* w = s.constant(1);
  if (!s.in[0].finite() || !w || w->rank() != 2) return {};
  const Bounds c = s.has(2) ? s.in[2] : Bounds{0, 0};
  return at_most(s.in[0].largest() * column_sum(*w, s.node.attrs.i("transB") != 0) * std::fabs(s.node.attrs.f("alpha")) +
                 c.largest() * std::fabs(s.node.attrs.f("beta")));
}

// Of n numbers with mean 0 and deviation 1, none is larger than sqrt(n).
Bounds normalized(const Seen& s, double n, size_t scale, size_t bias) {
  if ((s.has(scale) && !s.constant(scale)) || (s.has(bias) && !s.constant(bias))) return {};
  return at_most(std::sqrt(n) * largest(s.constant(scale), 1) + largest(s.constant(bias), 0));
}

Bounds normalizes_rows(const Seen& s) {
  const ValueInfo& x = s.g.info(s.node.inputs[0]);
  if (!x.ranked) return {};
  int64_t axis = s.node.attrs.i("axis");
  if (axis < 0) axis += int64_t(x.shape.size());
  double n = 1;
  for (size_t d = size_t(axis); d < x.shape.size(); ++d) {
    if (!x.shape[d].is_const()) return {};
    n *= double(x.shape[d].constant());
  }
  return normalized(s, n, 1, 2);
}

Bounds normalizes_planes(const Seen& s) {
  const ValueInfo& x = s.g.info(s.node.inputs[0]);
  if (!x.ranked) return {};
  double n = 1;
  for (size_t d = 2; d < x.shape.size(); ++d) {
    if (!x.shape[d].is_const()) return {};
    n *= double(x.shape[d].constant());
  }
  return normalized(s, n, 1, 2);
}

using Rule = Bounds (*)(const Seen&);

// Elementwise operators need none: their formula tells (scalar_bounds).
const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> table = {
      {"AveragePool", averages_with_zeros}, {"CenterCropPad", selects_or_zero}, {"Concat", selects},
      {"Conv", convolves}, {"ConvTranspose", convolves_transposed}, {"DepthToSpace", first}, {"Dropout", first},
      {"Expand", first}, {"Flatten", first}, {"Gather", first}, {"GatherElements", first}, {"GatherND", first},
      {"Gemm", gemm}, {"GlobalAveragePool", averages}, {"GlobalMaxPool", first}, {"Hardmax", probability},
      {"Identity", first}, {"InstanceNormalization", normalizes_planes}, {"LayerNormalization", normalizes_rows},
      {"LogSoftmax", log_probability}, {"MatMul", multiplies}, {"MaxPool", first}, {"Pad", selects_or_zero},
      {"RMSNormalization", normalizes_rows}, {"ReduceL2", root_of_squares}, {"ReduceMax", first}, {"ReduceMean", averages},
      {"ReduceMin", first}, {"ReduceSum", sums}, {"ReduceSumSquare", sums_squares}, {"Reshape", first}, {"Resize", resizes},
      {"Slice", first}, {"Softmax", probability}, {"SpaceToDepth", first}, {"Split", first}, {"Squeeze", first},
      {"Tile", first}, {"TopK", first}, {"Transpose", first}, {"Trilu", selects_or_zero}, {"Unsqueeze", first},
  };
  return table;
}

Bounds bounds_of(const Seen& s) {
  if (is_scalar_node(s.node)) {
    const auto region = scalar_region(s.g, s.node);
    if (!region.ok()) return {};
    std::vector<int> same;
    for (ValueId v : s.node.inputs) same.push_back(int(v));
    return scalar_bounds(region->program, s.in, same);
  }
  const auto rule = s.node.op->domain.empty() ? rules().find(s.node.op->name) : rules().end();
  return rule == rules().end() ? Bounds() : rule->second(s);
}

}  // namespace

std::vector<Bounds> find_intervals(const Graph& g) {
  std::vector<Bounds> out(g.values.size());
  // Weights are looked at by the rules of what reads them: here only constants that take part as values.
  std::vector<bool> known(g.values.size());
  for (const Node& node : g.nodes) {
    Seen s{g, node, {}};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      const bool weight = i > 0 && node.op->fusion == Fusion::out_elementwise_fusable;
      if (v != kNoValue && g.is_constant(v) && !known[size_t(v)] && !weight && (is_float(g.info(v).dtype) || is_scalar_node(node))) {
        out[size_t(v)] = constant_bounds(g.constant(v));
        known[size_t(v)] = true;
      }
      s.in.push_back(v == kNoValue ? Bounds() : out[size_t(v)]);
    }
    if (has_body(node) || node.outputs.empty()) continue;
    const Bounds b = bounds_of(s);
    const bool all = is_op(node, "Split");  // the others: the rule is about output 0
    for (size_t i = 0; i < node.outputs.size() && (i == 0 || all); ++i)
      if (node.outputs[i] != kNoValue) out[size_t(node.outputs[i])] = b;
  }
  return out;
}

}  // namespace tenon
