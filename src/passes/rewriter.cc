#include "passes/rewriter.h"

#include <algorithm>

#include "ir/infer.h"

namespace tenon {

std::vector<std::string> merge_origins(const std::vector<const Node*>& nodes) {
  std::vector<std::string> out;
  for (const Node* n : nodes)
    for (const std::string& s : n->origins)
      if (std::find(out.begin(), out.end(), s) == out.end()) out.push_back(s);
  return out;
}

Rewriter::Rewriter(Graph& graph) : g_(graph) {
  grow();
  for (const Node& n : g_.nodes)
    for (ValueId v : n.inputs)
      if (v != kNoValue) ++uses_[size_t(v)];
  for (ValueId v : g_.outputs) ++outputs_[size_t(v)];
}

void Rewriter::grow() {
  const size_t n = g_.values.size();
  def_.resize(n, -1);
  uses_.resize(n, 0);
  outputs_.resize(n, 0);
  for (size_t v = alias_.size(); v < n; ++v) alias_.push_back(ValueId(v));
}

ValueId Rewriter::resolve(ValueId v) const {
  while (v != kNoValue && alias_[size_t(v)] != v) v = alias_[size_t(v)];
  return v;
}

const Node* Rewriter::def(ValueId v) const {
  if (v == kNoValue || def_[size_t(v)] < 0) return nullptr;
  const Node& n = nodes_[size_t(def_[size_t(v)])];
  return n.op ? &n : nullptr;
}

const Node* Rewriter::def(ValueId v, std::string_view type) const {
  const Node* n = def(v);
  return n && n->op->name == type && n->op->domain.empty() ? n : nullptr;
}

bool Rewriter::once(ValueId v) const { return uses_[size_t(v)] == 1 && outputs_[size_t(v)] == 0; }

std::vector<const Node*> Rewriter::between(ValueId v, const std::vector<ValueId>& inputs) const {
  constexpr size_t kMost = 32;  // patterns are small
  std::vector<const Node*> found;
  std::vector<ValueId> open = {v};
  for (size_t i = 0; i < open.size() && found.size() < kMost; ++i) {
    const Node* n = def(open[i]);
    const bool stop = std::find(inputs.begin(), inputs.end(), open[i]) != inputs.end();
    if (!n || stop || std::find(found.begin(), found.end(), n) != found.end()) continue;
    found.push_back(n);
    open.insert(open.end(), n->inputs.begin(), n->inputs.end());
  }
  return found;
}

void Rewriter::push(Node node) {
  for (ValueId v : node.outputs)
    if (v != kNoValue) def_[size_t(v)] = int(nodes_.size());
  nodes_.push_back(std::move(node));
}

Status Rewriter::emit_node(Node node) {
  grow();
  for (ValueId v : node.inputs)
    if (v != kNoValue) ++uses_[size_t(v)];
  Attrs& attrs = node.attrs;
  Status s = normalize_attrs(*node.op, attrs);
  if (!s.ok()) return internal_error(describe(node), ": ", s.message());
  TRY(infer_node(g_, node));
  push(std::move(node));
  changed_ = true;
  return {};
}

Status Rewriter::emit_to(ValueId out, std::string_view type, std::vector<ValueId> inputs, Attrs attrs,
                         const std::vector<const Node*>& from) {
  Node node;
  node.op = find_op("", type);
  CHECK(node.op != nullptr);
  node.name = from[0]->name;
  node.origins = merge_origins(from);
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
  node.outputs = {out};
  return emit_node(std::move(node));
}

Result<ValueId> Rewriter::emit(const std::string& hint, std::string_view type, std::vector<ValueId> inputs, Attrs attrs,
                               const std::vector<const Node*>& from) {
  const ValueId out = g_.add_value(hint);
  TRY(emit_to(out, type, std::move(inputs), std::move(attrs), from));
  return out;
}

ValueId Rewriter::constant(const std::string& hint, Tensor t) {
  const ValueId v = g_.add_constant(hint, std::move(t));
  grow();
  return v;
}

void Rewriter::replace(ValueId from, ValueId to) {
  alias_[size_t(from)] = to;
  uses_[size_t(to)] += uses_[size_t(from)];
  outputs_[size_t(to)] += outputs_[size_t(from)];
  uses_[size_t(from)] = outputs_[size_t(from)] = 0;
  changed_ = true;
}

void Rewriter::set_constant(ValueId v, Tensor t) {
  g_.value(v).info = constant_info(std::move(t));
  changed_ = true;
}

// One use of v is gone; a node that nobody needs any more goes as well.
void Rewriter::release(ValueId v) {
  std::vector<ValueId> gone = {v};
  while (!gone.empty()) {
    const ValueId w = gone.back();
    gone.pop_back();
    if (--uses_[size_t(w)] > 0 || outputs_[size_t(w)] > 0 || def_[size_t(w)] < 0) continue;
    Node& n = nodes_[size_t(def_[size_t(w)])];
    if (!n.op) continue;
    const bool needed = std::any_of(n.outputs.begin(), n.outputs.end(), [&](ValueId o) {
      return o != kNoValue && (uses_[size_t(o)] > 0 || outputs_[size_t(o)] > 0);
    });
    if (needed) continue;
    n.op = nullptr;
    for (ValueId i : n.inputs)
      if (i != kNoValue) gone.push_back(i);
  }
}

Status Rewriter::run(const Visit& visit) {
  std::vector<Node> old = std::move(g_.nodes);
  g_.nodes.clear();
  for (Node& n : old) {
    for (ValueId& v : n.inputs) v = resolve(v);
    if (TRY(visit(n))) {
      for (ValueId v : n.inputs)
        if (v != kNoValue) release(v);
    } else {
      push(std::move(n));
    }
  }
  for (ValueId& v : g_.outputs) v = resolve(v);
  for (Node& n : nodes_)
    if (n.op) {
      for (ValueId& v : n.inputs) v = resolve(v);
      g_.nodes.push_back(std::move(n));
    }
  return {};
}

Status rewrite(Graph& g, const RewriteVisit& visit) {
  for (int round = 0; round < 20; ++round) {
    Rewriter r(g);
    TRY(r.run([&](const Node& n) { return visit(r, n); }));
    if (!r.changed()) break;
    remove_dead(g);
  }
  return {};
}

}  // namespace tenon
