#include "backend/request.h"

#include <algorithm>

namespace tenon {

Anchor anchor_of(const Graph& g, const Node& node) {
  Anchor a;
  a.body = node.attrs.graph("body");
  if (!a.body) {
    a.node = &node;
    a.graph = &g;
    for (size_t i = 0; i < node.inputs.size(); ++i) a.inputs.push_back(node.inputs[i] == kNoValue ? -1 : int(i));
    return a;
  }
  a.node = &a.body->nodes[0];
  a.graph = a.body.get();
  const std::vector<ValueId>& from = a.body->inputs;
  for (ValueId v : a.node->inputs) {
    const auto at = std::find(from.begin(), from.end(), v);
    a.inputs.push_back(at == from.end() ? -1 : int(at - from.begin()));
  }
  return a;
}

}  // namespace tenon
