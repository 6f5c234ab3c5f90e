#include "ir/verifier.h"

namespace tenon {

static Status verify_graph(const Graph& g, bool types);

// Without `types`, what has type is not asked: a branch that contradicts itself is legal, and fails when it is taken.
static Status verify_node(const Graph& g, const Node& node, std::vector<bool>& defined, bool check_types) {
  std::vector<DType> types;
  for (ValueId v : node.inputs) {
    if (v == kNoValue) {
      types.push_back(DType::none);
      continue;
    }
    if (v < 0 || size_t(v) >= g.values.size()) return internal_error("names value ", v, ", which does not exist");
    if (!defined[size_t(v)]) return internal_error("uses '", g.value(v).name, "' before it is defined");
    types.push_back(g.info(v).dtype);
  }
  TRY(check_types ? check_inputs(*node.op, types) : check_input_count(*node.op, types));
  TRY(check_output_count(*node.op, node.outputs.size()));
  Attrs attrs = node.attrs;
  TRY(normalize_attrs(*node.op, attrs));
  for (ValueId v : node.outputs) {
    if (v == kNoValue) continue;
    if (v < 0 || size_t(v) >= g.values.size()) return internal_error("names value ", v, ", which does not exist");
    if (defined[size_t(v)]) return internal_error("defines '", g.value(v).name, "', which is defined already");
    if (g.info(v).dtype == DType::none) return internal_error("gives '", g.value(v).name, "' no type");
    defined[size_t(v)] = true;
  }
  for (const auto& [name, value] : node.attrs)
    if (const auto* body = std::get_if<GraphPtr>(&value); body && *body)
      TRY(verify_graph(**body, check_types && node.op->name != "If").with_prefix(name + ": "));
  return {};
}

static Status verify_graph(const Graph& g, bool types) {
  std::vector<bool> defined(g.values.size());
  std::set<std::string_view> names;
  for (size_t v = 0; v < g.values.size(); ++v) {
    if (!names.insert(g.values[v].name).second) return internal_error("two values are called '", g.values[v].name, "'");
    defined[v] = g.values[v].is_constant();
  }
  auto known = [&](ValueId v) { return v >= 0 && size_t(v) < g.values.size(); };
  for (ValueId v : g.inputs) {
    if (!known(v)) return internal_error("an input does not exist");
    if (defined[size_t(v)]) return internal_error("input '", g.value(v).name, "' is defined twice");
    defined[size_t(v)] = true;
  }
  for (const Node& node : g.nodes) {
    Status s = verify_node(g, node, defined, types);
    if (!s.ok()) return Status(Code::internal, cat("illegal graph: ", describe(node), " ", s.message()));
  }
  if (g.output_names.size() != g.outputs.size()) return internal_error("illegal graph: outputs without names");
  for (ValueId v : g.outputs)
    if (!known(v) || !defined[size_t(v)]) return internal_error("illegal graph: an output is not defined");
  return {};
}

Status verify(const Graph& g) { return verify_graph(g, true); }

}  // namespace tenon
