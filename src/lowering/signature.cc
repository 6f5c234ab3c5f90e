#include "lowering/signature.h"

#include "ir/text.h"

namespace tenon {

static Dim at_optimum(const KernelRequest& r, const Dim& d) {
  const auto size = d.eval([&](const std::string& s) { return optimum_of(r, s); });
  return size ? Dim(*size) : d;
}

// Names become numbers, sizes those of the optimum; origins go.
static void make_nameless(const KernelRequest& r, Graph& g) {
  for (size_t v = 0; v < g.values.size(); ++v) {
    g.values[v].name = cat(v);
    for (Dim& d : g.values[v].info.shape) d = at_optimum(r, d);
  }
  for (Node& n : g.nodes) n.name.clear(), n.origins.clear();
  g.output_names.clear();
  for (ValueId v : g.outputs) g.output_names.push_back(g.value(v).name);
  g.name.clear();
}

static std::string show_operand(const KernelRequest& r, const ValueInfo& info) {
  std::vector<std::string> dims;
  for (const Dim& d : info.shape) dims.push_back(d.is_const() ? d.to_string() : "~" + at_optimum(r, d).to_string());
  return cat(info.constant ? "const " : "", name(info.dtype), info.ranked ? cat("[", join(dims, ", "), "]") : std::string("[*]"));
}

// The node alone with its operands, these numbered in the order of their first use.
static Graph only_node(const KernelRequest& r) {
  Graph g;
  std::map<ValueId, ValueId> number;
  const auto take = [&](const std::vector<ValueId>& values) {
    std::vector<ValueId> out;
    for (ValueId v : values) {
      if (v == kNoValue) {
        out.push_back(v);
        continue;
      }
      const auto [it, added] = number.try_emplace(v, ValueId(g.values.size()));
      if (added) g.values.push_back(r.graph.value(v));
      out.push_back(it->second);
    }
    return out;
  };
  Node node = r.node;
  node.inputs = take(r.node.inputs);
  node.outputs = take(r.node.outputs);
  // Bodies of control flow may be whole networks; its kernel is the same for all.
  if (node.op->domain != "tenon")
    for (const auto& [key, value] : r.node.attrs)
      if (std::holds_alternative<GraphPtr>(value)) node.attrs.erase(key);
  for (auto& [key, value] : node.attrs)
    if (auto* body = std::get_if<GraphPtr>(&value); body && *body) {
      Graph inner = **body;
      make_nameless(r, inner);
      *body = std::make_shared<const Graph>(std::move(inner));
    }
  g.nodes.push_back(std::move(node));
  make_nameless(r, g);
  return g;
}

std::string signature(const KernelRequest& r) {
  std::vector<std::string> operands;
  for (ValueId v : r.node.inputs) operands.push_back(v == kNoValue ? "_" : show_operand(r, r.graph.info(v)));
  const Graph g = only_node(r);
  std::string line = cat("(", join(operands, ", "), ") ", print_node(g, g.nodes[0]), r.tf32 ? " tf32" : "");
  std::string out;  // white space in one piece
  for (char c : line) {
    if (c == '\n' || c == '\t' || c == '\r') c = ' ';
    if (c != ' ' || out.empty() || out.back() != ' ') out += c;
  }
  return std::string(trim(out));
}

bool has_sizes(const KernelRequest& r) {
  for (const std::vector<ValueId>* values : {&r.node.inputs, &r.node.outputs})
    for (ValueId v : *values) {
      if (v == kNoValue) continue;
      if (!r.graph.info(v).ranked) return false;
      for (const Dim& d : r.graph.info(v).shape)
        if (!at_optimum(r, d).is_const()) return false;
    }
  return true;
}

}  // namespace tenon
