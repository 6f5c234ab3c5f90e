#include "passes/precision/float_needs.h"

#include <algorithm>

#include "passes/known.h"

namespace tenon {

TypeLimits limits_of(DType low) {
  if (low == DType::f16) return {65504, 0x1p-14};
  return {3.3895313892515355e38, 0x1p-126};
}

bool is_pinned(const Graph& g, const Node& node, const std::string& pattern) {
  const auto matches = [&](const std::string& name) { return glob_match(pattern, name); };
  return matches(node.op->name) || matches(node.name) || std::any_of(node.origins.begin(), node.origins.end(), matches) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v != kNoValue && matches(g.value(v).name); });
}

FloatNeeds find_float_needs(const Graph& g, DType low, const PassOptions& options) {
  FloatNeeds out{std::vector<FloatNeed>(g.nodes.size()), find_mask_nodes(g)};
  for (size_t n = 0; n < g.nodes.size(); ++n)
    for (const std::string& pattern : options.pin_fp32)
      if (!out.nodes[n] && is_pinned(g, g.nodes[n], pattern)) out.nodes[n] = {"pinned", cat("--pin ", pattern, "=fp32")};
  add_range_needs(g, low, options.observe && low == DType::f16 ? options.observe(g) : ValueRanges(), out);
  add_position_needs(g, out);
  add_statistics_needs(g, low, out);
  return out;
}

}  // namespace tenon
