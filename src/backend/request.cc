#include "backend/request.h"

#include <algorithm>

namespace tenon {

std::optional<int64_t> optimum_of(const KernelRequest& r, const std::string& symbol) {
  if (!r.profile) return std::nullopt;
  const auto it = r.profile->dims.find(symbol);
  // A symbol without an end is one that nobody mentioned.
  return it == r.profile->dims.end() || it->second.max == kUnbounded ? std::nullopt : std::optional(it->second.opt);
}

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
