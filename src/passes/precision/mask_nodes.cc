#include "passes/precision/float_needs.h"

#include <algorithm>

#include "passes/known.h"

namespace tenon {

static bool is_one_of(const Node& node, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return is_op(node, name); });
}

// Gives on numbers below the floor as numbers below the floor.
static bool passes_on(const Node& node) {
  return is_one_of(node, {"Add", "Where", "Max", "Reshape", "Transpose", "Expand", "Unsqueeze", "Squeeze", "Flatten", "Identity", "Slice",
                          "Gather", "Concat", "Split", "Tile"});
}

bool is_score_input(const Graph& g, const Node& node, size_t i) {
  if (node.inputs[i] == kNoValue || !is_float(g.info(node.inputs[i]).dtype)) return false;
  if (is_op(node, "Attention")) return i == 3;
  return !is_op(node, "Softmax") || i == 0;
}

std::vector<bool> find_mask_nodes(const Graph& g) {
  std::vector<bool> out(g.nodes.size());
  const Uses uses(g);
  for (size_t n = g.nodes.size(); n-- > 0;) {
    const Node& node = g.nodes[n];
    if (is_one_of(node, {"Softmax", "Attention"})) out[n] = true;
    if (!passes_on(node)) continue;
    out[n] = std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      if (v == kNoValue) return true;
      const std::vector<int>& users = uses.of(v);
      return !users.empty() && !uses.is_output(v) && std::all_of(users.begin(), users.end(), [&](int user) {
        const Node& at = g.nodes[size_t(user)];
        for (size_t i = 0; i < at.inputs.size(); ++i)
          if (at.inputs[i] == v && !is_score_input(g, at, i)) return false;
        return bool(out[size_t(user)]);
      });
    });
  }
  return out;
}

}  // namespace tenon
