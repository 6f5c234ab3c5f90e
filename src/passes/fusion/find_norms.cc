#include "passes/fusion/find_norms.h"

#include <cmath>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

// The first of the trailing dimensions that a ReduceMean with keepdims averages over.
std::optional<int64_t> trailing_mean(const Rewriter& r, const Node& n) {
  if (!n.attrs.i("keepdims", 1)) return std::nullopt;
  const auto axes = reduced_axes(r.graph(), n);
  if (!axes || axes->empty()) return std::nullopt;
  const int64_t rank = int64_t(r.info(n.inputs[0]).shape.size());
  for (size_t i = 0; i < axes->size(); ++i)
    if ((*axes)[i] != rank - int64_t(axes->size()) + int64_t(i)) return std::nullopt;
  return (*axes)[0];
}

struct Core {
  ValueId centered = kNoValue;  // what is divided by its root mean square
  double epsilon = 0;
  int64_t axis = 0;
};

// v = sqrt(mean(d^2) + epsilon): which d.
std::optional<Core> root_mean_square(const Rewriter& r, ValueId v) {
  const Node* sqrt = r.def(v, "Sqrt");
  if (!sqrt) return std::nullopt;
  const Node* add = r.def(sqrt->inputs[0], "Add");
  if (!add) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const auto epsilon = single_value(r.graph(), add->inputs[i]);
    const Node* mean = r.def(add->inputs[1 - i], "ReduceMean");
    if (!epsilon || !mean || !(*epsilon >= 0)) continue;
    const Node* square = r.def(mean->inputs[0]);
    if (!square) continue;
    const bool pow = is_op(*square, "Pow") && single_value(r.graph(), square->inputs[1]) == 2.0;
    const bool mul = is_op(*square, "Mul") && square->inputs[0] == square->inputs[1];
    const auto axis = trailing_mean(r, *mean);
    if ((pow || mul) && axis) return Core{square->inputs[0], *epsilon, *axis};
  }
  return std::nullopt;
}

// n = d / rms(d), however it is spelled.
std::optional<Core> normalized(const Rewriter& r, const Node& n) {
  if (is_op(n, "Div")) {
    auto core = root_mean_square(r, n.inputs[1]);
    return core && core->centered == n.inputs[0] ? core : std::nullopt;
  }
  if (!is_op(n, "Mul")) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const Node* inverse = r.def(n.inputs[i]);
    if (!inverse) continue;
    std::optional<Core> core;
    if (is_op(*inverse, "Reciprocal")) core = root_mean_square(r, inverse->inputs[0]);
    else if (is_op(*inverse, "Div") && single_value(r.graph(), inverse->inputs[0]) == 1.0)
      core = root_mean_square(r, inverse->inputs[1]);
    if (core && core->centered == n.inputs[1 - i]) return core;
  }
  return std::nullopt;
}

// d = x - mean(x) over the dimensions from `axis` on: which x.
std::optional<ValueId> centered_input(const Rewriter& r, ValueId d, int64_t axis) {
  const Node* sub = r.def(d, "Sub");
  if (!sub) return std::nullopt;
  const Node* mean = r.def(sub->inputs[1], "ReduceMean");
  if (!mean || mean->inputs[0] != sub->inputs[0] || trailing_mean(r, *mean) != axis) return std::nullopt;
  return sub->inputs[0];
}

Result<bool> find_core(Rewriter& r, const Node& n) {
  const auto core = normalized(r, n);
  if (!core) return false;
  const ValueInfo info = r.info(core->centered);
  if (info.dtype != DType::f32) return false;  // lower precision would round in other places
  const auto shape = to_concrete(SymShape(info.shape.begin() + core->axis, info.shape.end()));
  if (!shape || num_elements(*shape) <= 0 || num_elements(*shape) > 1 << 20) return false;
  const std::vector<double> ones(size_t(num_elements(*shape)), 1.0);
  const ValueId scale =
      r.constant(r.graph().value(n.outputs[0]).name + ".scale", Tensor::of_floats(ones, info.dtype).reshaped(*shape));
  const Attrs attrs = {{"axis", core->axis - int64_t(info.shape.size())}, {"epsilon", float(core->epsilon)}};
  const auto x = centered_input(r, core->centered, core->axis);
  const ValueId input = x ? *x : core->centered;
  std::vector<const Node*> from = {&n};
  for (ValueId v : n.inputs)
    for (const Node* part : r.between(v, {input})) from.push_back(part);
  TRY(r.emit_to(n.outputs[0], x ? "LayerNormalization" : "RMSNormalization", {input, scale}, attrs, from));
  return true;
}

// Mul or Add of a constant behind a normalisation whose scale or bias is still free.
Result<bool> find_scale_or_bias(Rewriter& r, const Node& n) {
  const bool mul = is_op(n, "Mul");
  if (!mul && !is_op(n, "Add")) return false;
  for (size_t i = 0; i < 2; ++i) {
    const Node* norm = r.def(n.inputs[i]);
    const ValueId c = n.inputs[1 - i];
    if (!norm || !r.once(n.inputs[i]) || norm->outputs.size() != 1 || !r.is_constant(c)) continue;
    const bool layer = is_op(*norm, "LayerNormalization"), rms = is_op(*norm, "RMSNormalization");
    const bool has_bias = norm->inputs.size() > 2 && norm->inputs[2] != kNoValue;
    if ((!layer && !rms) || has_bias || (!mul && !layer)) continue;
    const Tensor &scale = r.constant(norm->inputs[1]), &t = r.constant(c);
    if (!scale || t.shape() != scale.shape() || t.dtype() != scale.dtype()) continue;
    if (mul && splat_value(r.graph(), norm->inputs[1]) != 1.0) continue;
    const Node from = *norm;
    std::vector<ValueId> inputs = from.inputs;
    if (mul) inputs[1] = c;
    else inputs = {inputs[0], inputs[1], c};
    TRY(r.emit_to(n.outputs[0], from.op->name, inputs, from.attrs, {&from, &n}));
    return true;
  }
  return false;
}

}  // namespace

Result<Graph> find_norms(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    return TRY(find_core(r, n)) || TRY(find_scale_or_bias(r, n));
  }));
  return g;
}

}  // namespace tenon
