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

static std::vector<FloatNeed> find_pinned(const Graph& g, const PassOptions& options) {
  std::vector<FloatNeed> out(g.nodes.size());
  for (size_t n = 0; n < g.nodes.size(); ++n)
    for (const std::string& pattern : options.pin_fp32)
      if (!out[n] && is_pinned(g, g.nodes[n], pattern)) out[n] = {"pinned", cat("--pin ", pattern, "=fp32")};
  return out;
}

FloatNeeds find_float_needs(const Graph& g, DType low, const PassOptions& options) {
  FloatNeeds out{find_pinned(g, options), find_mask_nodes(g)};
  add_range_needs(g, low, options.observe && low == DType::f16 ? options.observe(g) : ValueRanges(), out);
  add_position_needs(g, out);
  add_statistics_needs(g, low, out);
  return out;
}

std::vector<FloatNeed> find_product_needs(const Graph& g, const PassOptions& options) {
  FloatNeeds out{find_pinned(g, options), std::vector<bool>(g.nodes.size())};
  add_position_needs(g, out);
  return std::move(out.nodes);
}

void add_measured_needs(const std::vector<double>& moved, std::vector<FloatNeed>& needs) {
  char text[64];
  for (size_t n = 0; n < moved.size(); ++n) {
    if (moved[n] <= 0) continue;
    std::snprintf(text, sizeof text, "its rounding moves the outputs by %.1e", moved[n]);
    needs[n] = {"rounding", text};
  }
}

KeptFloat kept_float(const Graph& g, const Node& node, const FloatNeed& need) {
  const ValueId v = need.value != kNoValue ? need.value : node.outputs[0];
  return {g.value(v).name, node.op->name, node.origins, need.rule, need.why};
}

}  // namespace tenon
