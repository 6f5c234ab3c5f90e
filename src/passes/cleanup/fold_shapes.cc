#include "passes/cleanup/fold_shapes.h"

#include <algorithm>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

static Tensor tensor_of(const ValueInfo& info, const Ints& values) {
  Tensor t = Tensor::of_ints(values, info.dtype);
  return info.shape.empty() ? t.reshaped({}) : t;
}

// Defines v by a Dims node (and a Cast, as those are int64).
static Status define_dims(Rewriter& r, const Node& n, ValueId v, const std::vector<Dim>& elements) {
  const ValueInfo info = r.info(v);
  Strings dims;
  for (const Dim& d : elements) dims.push_back(d.to_string());
  Node node;
  node.op = find_op("tenon", "Dims");
  node.name = n.name;
  node.origins = n.origins;
  node.attrs = {{"dims", std::move(dims)}, {"scalar", int64_t(info.shape.empty())}};
  if (info.dtype == DType::i64) {
    node.outputs = {v};
    return r.emit_node(std::move(node));
  }
  const ValueId wide = r.graph().add_value(r.graph().value(v).name);
  node.outputs = {wide};
  TRY(r.emit_node(std::move(node)));
  return r.emit_to(v, "Cast", {wide}, {{"to", int64_t(info.dtype)}}, {&n});
}

// Of each value: it is an expression of sizes that are known where it is computed; those of the inputs, or, with `late`, of
// all values in front as well.
static std::vector<bool> find_known(const Graph& g, bool late) {
  std::set<std::string> bound;
  const auto bind = [&](ValueId v) {
    if (v == kNoValue) return;
    for (const Dim& d : g.info(v).shape)
      if (d.is_symbol()) bound.insert(d.to_string());
  };
  std::vector<bool> known(g.values.size());
  const auto look_at = [&](ValueId v) {
    if (v == kNoValue) return;
    const ValueInfo& info = g.info(v);
    if (!info.value || info.constant || !kIndex.contains(info.dtype) || info.shape.size() > 1) return;
    std::set<std::string> symbols;
    for (const Dim& d : *info.value) d.collect_symbols(symbols);
    known[size_t(v)] = std::includes(bound.begin(), bound.end(), symbols.begin(), symbols.end());
  };
  for (ValueId v : g.inputs) bind(v);
  for (ValueId v : g.inputs) look_at(v);
  for (const Node& n : g.nodes) {
    for (ValueId v : n.outputs) look_at(v);
    if (late)
      for (ValueId v : n.outputs) bind(v);
  }
  return known;
}

static Result<Graph> fold(Graph g, bool late) {
  const Op* dims_op = find_op("tenon", "Dims");
  const std::vector<bool> all_known = find_known(g, late);
  auto known = [&](ValueId v) { return v != kNoValue && all_known[size_t(v)]; };
  // Only what others read: a node in the middle of a chain is dead once the chain's end is folded.
  std::vector<bool> wanted(g.values.size());
  for (ValueId v : g.outputs) wanted[size_t(v)] = known(v);
  for (const Node& n : g.nodes) {
    const bool folds = std::all_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) { return v == kNoValue || known(v); });
    if (folds) continue;
    for (ValueId v : n.inputs)
      if (known(v)) wanted[size_t(v)] = true;
  }
  for (const Node& n : g.nodes) {
    const bool from_dims = n.op == dims_op;
    for (ValueId v : n.outputs)
      if (v != kNoValue && from_dims) wanted[size_t(v)] = wanted[size_t(v)] && to_concrete(*g.info(v).value);
  }

  Rewriter r(g);
  TRY(r.run([&](const Node& n) -> Result<bool> {
    const Node* source = is_op(n, "Cast") ? r.def(n.inputs[0]) : nullptr;
    const bool is_dims_cast = source && source->op == dims_op && !source->attrs.strings("dims").empty() && !int_values(r.graph(), n.outputs[0]);
    bool all = true, any = false;
    for (ValueId v : n.outputs) {
      if (v == kNoValue) continue;
      all = all && wanted[size_t(v)];
      any = any || wanted[size_t(v)];
    }
    if (!any || is_dims_cast || has_body(n) || !n.op->deterministic) return false;
    Node rest = n;  // what is left of a node with other outputs
    for (ValueId& v : rest.outputs) {
      if (v == kNoValue || !wanted[size_t(v)]) continue;
      const std::vector<Dim> elements = *r.info(v).value;
      if (auto numbers = to_concrete(elements)) r.set_constant(v, tensor_of(r.info(v), *numbers));
      else TRY(define_dims(r, n, v, elements));
      v = kNoValue;
    }
    if (!all) TRY(r.emit_node(std::move(rest)));
    return true;
  }));
  remove_dead(g);
  return g;
}

Result<Graph> fold_shapes(Graph g, const PassOptions&) { return fold(std::move(g), false); }

// Whether each size that Dims computes with is the size of something in front of it.
static bool sizes_are_told(const Graph& g) {
  std::set<std::string> told;
  const auto tell = [&](const std::vector<ValueId>& values) {
    for (ValueId v : values)
      if (v != kNoValue)
        for (const Dim& d : g.info(v).shape)
          if (d.is_symbol()) told.insert(d.to_string());
  };
  tell(g.inputs);
  for (const Node& n : g.nodes) {
    std::set<std::string> asked;
    if (n.op == find_op("tenon", "Dims"))
      for (const std::string& text : n.attrs.strings("dims"))
        if (auto d = Dim::parse(text); d.ok()) d->collect_symbols(asked);
    if (!std::includes(told.begin(), told.end(), asked.begin(), asked.end())) return false;
    tell(n.outputs);
  }
  return true;
}

Result<Graph> fold_late_shapes(Graph g, const PassOptions&) {
  if (g.depth > 0) return g;  // a body's symbols get new names when what is around it is inferred
  Graph folded = TRY(fold(g, true));
  // What nobody reads but for its size must stay: then all stays as it is.
  return sizes_are_told(folded) ? folded : g;
}

}  // namespace tenon
