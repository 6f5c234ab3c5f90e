#include "passes/fusion/fused_node.h"

#include <algorithm>
#include <unordered_map>

#include "passes/rewriter.h"

namespace tenon {

bool is_pointwise(const Graph& g, const Node& n) {
  return n.op->scalar && n.outputs.size() == 1 && n.outputs[0] != kNoValue && g.info(n.outputs[0]).ranked;
}

Node make_fused(const Graph& g, const std::vector<const Node*>& nodes, const std::vector<ValueId>& outputs,
                const std::string& kind, const std::string& name) {
  Graph body;
  body.name = kind;
  Node fused;
  std::unordered_map<ValueId, ValueId> inside;
  const auto add = [&](ValueId v) {
    ValueInfo info = g.info(v);
    body.values.push_back({g.value(v).name, std::move(info)});
    return inside[v] = ValueId(body.values.size() - 1);
  };
  std::vector<ValueId> made;
  for (const Node* n : nodes) made.insert(made.end(), n->outputs.begin(), n->outputs.end());
  for (const Node* n : nodes) {
    for (ValueId v : n->inputs) {
      if (v == kNoValue || inside.contains(v) || std::find(made.begin(), made.end(), v) != made.end()) continue;
      const ValueId w = add(v);
      // Kernels of an anchor read its operands from memory, a bias of one channel too.
      const bool of_anchor = n == nodes[0] && kind != "pointwise";
      if (!of_anchor && g.is_constant(v) && g.constant(v).size() == 1) continue;
      body.value(w).info.constant = Tensor();
      body.inputs.push_back(w);
      fused.inputs.push_back(v);
    }
    Node copy = *n;
    for (ValueId& v : copy.inputs)
      if (v != kNoValue) v = inside[v];
    for (ValueId& v : copy.outputs)
      if (v != kNoValue) v = add(v);
    body.nodes.push_back(std::move(copy));
  }
  for (ValueId v : outputs) body.add_output(g.value(v).name, inside[v]);
  body.fresh_symbols = g.fresh_symbols;
  fused.op = find_op("tenon", "Fused");
  fused.name = name;
  fused.origins = merge_origins(nodes);
  fused.outputs = outputs;
  fused.attrs = {{"kind", kind}, {"body", std::make_shared<const Graph>(std::move(body))}};
  return fused;
}

void replace_by_fused(Graph& g, const std::vector<int>& group, std::vector<Node> fused) {
  std::vector<size_t> last(fused.size(), 0);
  for (size_t n = 0; n < group.size(); ++n)
    if (group[n] >= 0) last[size_t(group[n])] = n;
  std::vector<Node> nodes;
  for (size_t n = 0; n < group.size(); ++n) {
    if (group[n] < 0) nodes.push_back(std::move(g.nodes[n]));
    else if (last[size_t(group[n])] == n) nodes.push_back(std::move(fused[size_t(group[n])]));
  }
  g.nodes = std::move(nodes);
  sort_nodes(g);
  remove_dead(g);
}

}  // namespace tenon
