#include "ir/graph.h"

#include <algorithm>
#include <queue>

namespace tenon {

std::string Graph::unique_name(const std::string& wanted) {
  if (names_.size() < values.size())
    for (const Value& v : values) names_.insert(v.name);
  std::string base = wanted.empty() ? "v" : wanted, name = base;
  for (int k = 1; names_.contains(name); ++k) name = cat(base, ".", k);
  return name;
}

ValueId Graph::add_value(const std::string& name, ValueInfo info) {
  std::string unique = unique_name(name);
  names_.insert(unique);
  values.push_back({std::move(unique), std::move(info)});
  return ValueId(values.size() - 1);
}

ValueInfo constant_info(Tensor t) {
  ValueInfo v{t.dtype(), true, to_sym(t.shape()), t, std::nullopt};
  if (kIndex.contains(t.dtype()) && t.rank() <= 1 && t.size() <= 64) {
    Ints ints = t.to_ints();
    v.value = std::vector<Dim>(ints.begin(), ints.end());
  }
  return v;
}

ValueId Graph::add_constant(const std::string& name, Tensor t) { return add_value(name, constant_info(std::move(t))); }

Node& Graph::add_node(const Op* op, std::string name, Attrs attrs, std::vector<ValueId> inputs,
                      std::vector<ValueId> outputs) {
  CHECK(op != nullptr);
  CHECK(normalize_attrs(*op, attrs).ok());
  nodes.push_back({op, std::move(name), std::move(attrs), std::move(inputs), std::move(outputs), {}});
  return nodes.back();
}

void Graph::add_output(const std::string& name, ValueId v) {
  outputs.push_back(v);
  output_names.push_back(name);
}

Dim Graph::fresh_symbol(const char* hint) {
  return Dim::symbol(cat("_", hint, depth ? cat(".", depth) : "", "_", ++fresh_symbols));
}

std::string describe(const Node& node) { return cat(node.op->name, " '", escape(node.name), "'"); }

Uses::Uses(const Graph& g) : users_(g.values.size()), producer_(g.values.size(), -1), output_(g.values.size()) {
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    for (ValueId v : g.nodes[n].inputs)
      if (v != kNoValue) users_[size_t(v)].push_back(int(n));
    for (ValueId v : g.nodes[n].outputs)
      if (v != kNoValue) producer_[size_t(v)] = int(n);
  }
  for (ValueId v : g.outputs) output_[size_t(v)] = true;
}

void replace_uses(Graph& g, ValueId from, ValueId to) {
  for (Node& n : g.nodes) std::replace(n.inputs.begin(), n.inputs.end(), from, to);
  std::replace(g.outputs.begin(), g.outputs.end(), from, to);
}

static bool holds_graph(const Node& node) {
  return std::any_of(node.attrs.begin(), node.attrs.end(), [](const auto& a) { return std::holds_alternative<GraphPtr>(a.second); });
}

void remove_dead(Graph& g) {
  std::vector<bool> live(g.values.size());
  for (ValueId v : g.outputs) live[size_t(v)] = true;
  std::vector<bool> keep(g.nodes.size());
  for (size_t n = g.nodes.size(); n-- > 0;) {
    Node& node = g.nodes[n];
    for (ValueId v : node.outputs) keep[n] = keep[n] || (v != kNoValue && live[size_t(v)]);
    if (!keep[n]) continue;
    for (ValueId v : node.inputs)
      if (v != kNoValue) live[size_t(v)] = true;
    // Trailing outputs that nobody uses need not be computed. How many a Split has says how it cuts.
    const bool countable = !node.op->outputs.empty() && node.op->outputs.back().mode == Param::variadic && !holds_graph(node);
    while (!countable && node.outputs.size() > 1 && (node.outputs.back() == kNoValue || !live[size_t(node.outputs.back())]))
      node.outputs.pop_back();
    for (ValueId v : node.outputs)
      if (v != kNoValue) live[size_t(v)] = true;
  }
  for (ValueId v : g.inputs) live[size_t(v)] = true;

  Graph out;
  out.name = std::move(g.name);
  out.fresh_symbols = g.fresh_symbols;
  out.depth = g.depth;
  std::vector<ValueId> renumber(g.values.size(), kNoValue);
  for (size_t v = 0; v < g.values.size(); ++v)
    if (live[v]) {
      renumber[v] = ValueId(out.values.size());
      out.values.push_back(std::move(g.values[v]));
    }
  auto map = [&](std::vector<ValueId>& ids) {
    for (ValueId& v : ids)
      if (v != kNoValue) v = renumber[size_t(v)];
  };
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (!keep[n]) continue;
    map(g.nodes[n].inputs);
    map(g.nodes[n].outputs);
    out.nodes.push_back(std::move(g.nodes[n]));
  }
  out.inputs = std::move(g.inputs);
  out.outputs = std::move(g.outputs);
  out.output_names = std::move(g.output_names);
  map(out.inputs);
  map(out.outputs);
  g = std::move(out);
}

void sort_nodes(Graph& g) {
  const Uses uses(g);
  std::vector<int> waiting(g.nodes.size());
  for (size_t n = 0; n < g.nodes.size(); ++n)
    for (ValueId v : g.nodes[n].inputs)
      if (v != kNoValue && uses.producer(v) >= 0) ++waiting[n];
  std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
  for (size_t n = 0; n < g.nodes.size(); ++n)
    if (waiting[n] == 0) ready.push(int(n));
  std::vector<Node> sorted;
  while (!ready.empty()) {
    const int n = ready.top();
    ready.pop();
    for (ValueId v : g.nodes[size_t(n)].outputs)
      if (v != kNoValue)
        for (int user : uses.of(v))
          if (--waiting[size_t(user)] == 0) ready.push(user);
    sorted.push_back(std::move(g.nodes[size_t(n)]));
  }
  CHECK(sorted.size() == g.nodes.size());
  g.nodes = std::move(sorted);
}

}  // namespace tenon
