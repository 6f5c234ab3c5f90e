#include "compiler/report.h"

#include <nlohmann/json.hpp>

#include "engine/step_kind.h"

namespace tenon {

using nlohmann::json;

static void add_layers(const Graph& g, const std::vector<StepPlan>& steps, const std::string& prefix, json& layers) {
  for (size_t n = 0; n < steps.size(); ++n) {
    const Node& node = g.nodes[n];
    const StepKind kind = step_kind(node);
    if (kind == StepKind::dims) continue;
    json j = {{"name", prefix + node.name}, {"op", node.op->name}, {"onnx_nodes", node.origins}};
    j["kernel"] = kind == StepKind::view ? "view" : steps[n].image.kernel;
    j["backend"] = kind == StepKind::view ? "" : steps[n].image.backend;
    if (!steps[n].reason.empty()) j["reason"] = steps[n].reason;
    if (steps[n].fallback) j["fallback"] = true;
    if (!node.outputs.empty() && node.outputs[0] != kNoValue) {
      const ValueInfo& info = g.info(node.outputs[0]);
      j["output"] = cat(name(info.dtype), info.ranked ? to_string(info.shape) : "[*]");
    }
    layers.push_back(std::move(j));
    for (const auto& [attr, body] : steps[n].bodies)
      if (GraphPtr inner = node.attrs.graph(attr)) add_layers(*inner, body, cat(prefix, node.name, "/", attr, "/"), layers);
  }
}

std::string make_report(const EngineContent& c, const PassReport& passes) {
  json j = {{"schema", "tenon.report/1"}, {"target", c.target}, {"precision", c.precision}};
  j["passes"] = json::array();
  for (const auto& p : passes.passes) j["passes"].push_back({{"name", p.name}, {"nodes_before", p.nodes_before}, {"nodes_after", p.nodes_after}});
  j["layers"] = json::array();
  add_layers(c.graph, c.steps, "", j["layers"]);
  return j.dump(1);
}

static void collect_fallbacks(const Graph& g, const std::vector<StepPlan>& steps, std::vector<std::string>& out) {
  for (size_t n = 0; n < steps.size(); ++n) {
    if (steps[n].fallback) out.push_back(cat(describe(g.nodes[n]), ": ", steps[n].reason));
    for (const auto& [attr, body] : steps[n].bodies)
      if (GraphPtr inner = g.nodes[n].attrs.graph(attr)) collect_fallbacks(*inner, body, out);
  }
}

std::vector<std::string> list_fallbacks(const EngineContent& c) {
  std::vector<std::string> out;
  collect_fallbacks(c.graph, c.steps, out);
  return out;
}

}  // namespace tenon
