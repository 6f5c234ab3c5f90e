#include "passes/cleanup/control_flow.h"

#include <algorithm>

#include "ir/infer.h"
#include "passes/known.h"

namespace tenon {

// The branch that is always taken; null where that is not known or the branch does not fit the node.
static GraphPtr certain_branch(const Graph& g, const Node& n) {
  if (!is_op(n, "If") || !g.is_constant(n.inputs[0]) || g.constant(n.inputs[0]).size() != 1) return nullptr;
  GraphPtr body = n.attrs.graph(g.constant(n.inputs[0]).int_at(0) ? "then_branch" : "else_branch");
  if (!body || body->inputs.size() + 1 != n.inputs.size() || body->outputs.size() < n.outputs.size()) return nullptr;
  // Shape arithmetic names sizes as the body does.
  for (const Node& inner : body->nodes)
    if (inner.op->domain == "tenon" && inner.op->name == "Dims") return nullptr;
  return body;
}

// A body whose inputs must be inferred anew.
static GraphPtr without_sizes(const GraphPtr& body) {
  Graph g = *body;
  for (ValueId v : g.inputs) g.value(v).info = {g.info(v).dtype, false, {}, Tensor(), std::nullopt};
  for (Node& n : g.nodes)
    for (auto& [name, value] : n.attrs)
      if (auto* inner = std::get_if<GraphPtr>(&value); inner && *inner) *inner = without_sizes(*inner);
  return std::make_shared<const Graph>(std::move(g));
}

// Puts copies of the body's nodes behind `nodes`. Returns what the body's outputs are called in g. Types are left open:
// out here other sizes may have the names that the body gave to its own.
static std::vector<ValueId> splice(Graph& g, const Graph& body, const std::vector<ValueId>& captured, std::vector<Node>& nodes) {
  std::vector<ValueId> here(body.values.size(), kNoValue);
  for (size_t i = 0; i < captured.size(); ++i) here[size_t(body.inputs[i])] = captured[i];
  for (size_t v = 0; v < here.size(); ++v)
    if (here[v] == kNoValue) {
      const Value& from = body.values[v];
      here[v] = g.add_value(from.name, from.is_constant() ? from.info : ValueInfo{});
    }
  for (Node n : body.nodes) {
    for (std::vector<ValueId>* ids : {&n.inputs, &n.outputs})
      for (ValueId& v : *ids)
        if (v != kNoValue) v = here[size_t(v)];
    for (auto& [name, value] : n.attrs)
      if (auto* inner = std::get_if<GraphPtr>(&value); inner && *inner) *inner = without_sizes(*inner);
    nodes.push_back(std::move(n));
  }
  std::vector<ValueId> out;
  for (ValueId v : body.outputs) out.push_back(here[size_t(v)]);
  return out;
}

// Replaces each If whose condition is constant by its branch. False: there was none.
static bool take_branches(Graph& g) {
  std::vector<Node> old = std::move(g.nodes), nodes;
  std::vector<std::pair<ValueId, ValueId>> replaced;
  bool any = false;
  for (Node& n : old) {
    GraphPtr body = certain_branch(g, n);
    if (!body) {
      nodes.push_back(std::move(n));
      continue;
    }
    any = true;
    const std::vector<ValueId> out = splice(g, *body, {n.inputs.begin() + 1, n.inputs.end()}, nodes);
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i] != kNoValue) replaced.emplace_back(n.outputs[i], out[i]);
  }
  g.nodes = std::move(nodes);
  // In the order of the nodes: a result that was passed on to a later If is itself found by then.
  for (auto [from, to] : replaced) {
    replace_uses(g, from, to);
    for (auto& later : replaced)
      if (later.second == from) later.second = to;
  }
  return any;
}

// All passes over one body. A branch that contradicts itself stays as it is: it may never be taken, and says what is
// wrong when it is.
static Result<GraphPtr> optimize_body(const Node& n, const std::string& attr, GraphPtr body, const PassOptions& options) {
  auto done = optimize(*body, options);
  if (done.ok()) return GraphPtr(std::make_shared<const Graph>(std::move(done).value()));
  if (is_op(n, "If") && done.status().code() != Code::internal) return body;
  return done.status().with_prefix(cat(describe(n), ": ", attr, ": "));
}

Result<Graph> control_flow(Graph g, const PassOptions& options) {
  PassOptions inside = options;
  inside.dump = nullptr;
  inside.observe = nullptr;  // knows the values out here only
  const auto fold = [&](std::string_view name) -> Status {
    if (std::find(options.skip.begin(), options.skip.end(), name) != options.skip.end()) return {};
    g = TRY(run_pass(*find_pass(name), std::move(g), inside));
    return {};
  };
  // A condition may have become constant with the last shape that was folded, or with what a branch brought.
  while (std::any_of(g.nodes.begin(), g.nodes.end(), [](const Node& n) { return is_op(n, "If"); })) {
    TRY(fold("fold_constants"));
    if (!take_branches(g)) break;
    remove_dead(g);
    TRY(infer_graph(g));
    TRY(fold("fold_constants"));
    TRY(fold("fold_shapes"));
  }
  for (Node& n : g.nodes) {
    if (!has_body(n) || n.op->domain == "tenon") continue;
    for (auto& [name, value] : n.attrs) {
      const auto* body = std::get_if<GraphPtr>(&value);
      if (!body || !*body) continue;
      const Graph& b = **body;
      const bool typed = std::all_of(b.inputs.begin(), b.inputs.end(), [&](ValueId v) { return b.info(v).dtype != DType::none; });
      if (typed) value = TRY(optimize_body(n, name, *body, inside));
    }
  }
  return g;
}

}  // namespace tenon
