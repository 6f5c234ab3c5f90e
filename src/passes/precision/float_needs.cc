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

static const std::string* find_pin(const Graph& g, const Node& node, const std::vector<std::string>& patterns) {
  const auto it = std::find_if(patterns.begin(), patterns.end(), [&](const std::string& pattern) { return is_pinned(g, node, pattern); });
  return it == patterns.end() ? nullptr : &*it;
}

static FloatNeeds find_pinned(const Graph& g, const PassOptions& options) {
  FloatNeeds out{std::vector<FloatNeed>(g.nodes.size()), std::vector<bool>(g.nodes.size()), {}};
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (const std::string* pin = find_pin(g, g.nodes[n], options.pin_fp32)) out.nodes[n] = {"pinned", cat("--pin ", *pin, "=fp32")};
    else out.forced[n] = find_pin(g, g.nodes[n], options.pin_low);
  }
  return out;
}

static void drop_forced(FloatNeeds& needs) {
  for (size_t n = 0; n < needs.nodes.size(); ++n)
    if (needs.forced[n]) needs.nodes[n] = {};
}

FloatNeeds find_float_needs(const Graph& g, DType low, const PassOptions& options) {
  FloatNeeds out = find_pinned(g, options);
  out.saturates = find_mask_nodes(g);
  add_range_needs(g, low, options.observe && low == DType::f16 ? options.observe(g) : ValueRanges(), out);
  add_position_needs(g, out);
  add_statistics_needs(g, low, out);
  drop_forced(out);
  return out;
}

FloatNeeds find_product_needs(const Graph& g, const PassOptions& options) {
  FloatNeeds out = find_pinned(g, options);
  add_position_needs(g, out);
  drop_forced(out);
  return out;
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
