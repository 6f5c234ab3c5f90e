// What every backend's families ask of a request: operators, types, and the parts of a fused node.
#pragma once

#include "backend/compiler.h"

namespace tenon {

inline bool op_is(const Node& n, std::string_view name) { return n.op->domain.empty() && n.op->name == name; }
inline bool ms_op_is(const Node& n, std::string_view name) { return n.op->domain == "com.microsoft" && n.op->name == name; }
inline bool present(const KernelRequest& r, size_t input) {
  return input < r.node.inputs.size() && r.node.inputs[input] != kNoValue;
}
// none where it is absent.
inline DType type_of(const KernelRequest& r, size_t input) {
  return present(r, input) ? r.graph.info(r.node.inputs[input]).dtype : DType::none;
}

// The anchor of a request, which the elementwise nodes behind it were fused to: the node itself, or the first node of a
// fused body.
struct Anchor {
  const Node* node = nullptr;
  const Graph* graph = nullptr;  // that the node belongs to: the request's, or the body
  GraphPtr body;                 // null: not fused
  // The request's input for input i of the anchor node; -1: absent or a constant inside the body.
  std::vector<int> inputs;

  int input(size_t i) const { return i < inputs.size() ? inputs[i] : -1; }
};
// REQUIRES: a fused body's first node is the anchor.
Anchor anchor_of(const Graph& g, const Node& node);

}  // namespace tenon
