#include "onnx/check.h"

namespace tenon::onnx {

namespace {

class Finder {
 public:
  Finder(const ModelProto& m, std::vector<UnsupportedNode>& out) : model_(m), out_(out) {}

  void nodes(const std::vector<NodeProto>& list, const Opsets& opsets, int depth) {
    for (const NodeProto& n : list) node(n, opsets, depth);
  }

 private:
  void node(const NodeProto& n, const Opsets& opsets, int depth) {
    if (depth > 64) return;  // recursion is reported by the import itself
    const std::string_view domain = plain_domain(n.domain);
    for (const AttributeProto& a : n.attributes)
      if (!a.g.empty()) nodes(a.g[0].nodes, opsets, depth + 1);
    if (const FunctionProto* f = find_function(model_, n.domain, n.op_type, n.overload)) {
      if (visited_.insert(f).second) nodes(f->nodes, opset_map(f->opsets), depth + 1);
      return;
    }
    const std::string reason = why_not(n, domain, opsets);
    if (reason.empty()) return;
    std::string op = domain.empty() ? std::string(n.op_type) : cat(domain, ".", n.op_type);
    std::string_view name = !n.name.empty() ? n.name : !n.outputs.empty() ? n.outputs[0] : "";
    out_.push_back({escape(name), escape(op), reason});
  }

  std::string why_not(const NodeProto& n, std::string_view domain, const Opsets& opsets) {
    const Op* op = find_op(domain, n.op_type);
    if (!op) return domain.empty() ? "no such operator in the operator book" : "custom operator";
    auto it = opsets.find(domain);
    const int64_t opset = it == opsets.end() ? 1 : it->second;
    if (op->removed_in && opset >= op->removed_in) return cat("removed from the standard in opset ", op->removed_in);
    if (domain.empty() && opset < op->compatible_from && (op->older.empty() || op->older[0].from > opset))
      return cat("its definition of opset ", opset, " is too old");
    return "";
  }

  const ModelProto& model_;
  std::vector<UnsupportedNode>& out_;
  std::set<const FunctionProto*> visited_;
};

}  // namespace

std::vector<UnsupportedNode> find_unsupported(const ModelProto& m, const Opsets& opsets) {
  std::vector<UnsupportedNode> out;
  Finder(m, out).nodes(m.graph->nodes, opsets, 0);
  return out;
}

Status unsupported_nodes(const std::vector<UnsupportedNode>& nodes) {
  std::string text = cat(nodes.size(), nodes.size() == 1 ? " node is" : " nodes are", " not supported:");
  for (const UnsupportedNode& n : nodes) text += cat("\n  ", n.op, " '", n.name, "': ", n.reason);
  return Status(Code::unsupported, text, "`tenon ops` lists the operators that are supported");
}

}  // namespace tenon::onnx
