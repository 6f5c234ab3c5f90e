#include "compiler/report.h"

#include <nlohmann/json.hpp>

#include "compiler/memory.h"
#include "engine/serialize.h"
#include "engine/step_kind.h"

namespace tenon {

using nlohmann::json;

static void add_nodes(const Graph& g, const std::vector<StepPlan>& steps, const std::string& prefix, json& nodes) {
  for (size_t n = 0; n < steps.size(); ++n) {
    const Node& node = g.nodes[n];
    const StepKind kind = step_kind(node);
    if (kind == StepKind::dims) continue;
    json j = {{"name", prefix + node.name}, {"op", node.op->name}, {"origins", node.origins}};
    j["kernel"] = kind == StepKind::view ? "view" : kind == StepKind::copy ? "copy to " + node.attrs.s("to") : steps[n].image.kernel;
    j["backend"] = steps[n].image.backend;
    j["reason"] = steps[n].reason;
    j["fallback"] = steps[n].fallback;
    if (!steps[n].tactics.empty()) j["tactics"] = tactics_to_json(steps[n].tactics);
    if (!node.outputs.empty() && node.outputs[0] != kNoValue) {
      const ValueInfo& info = g.info(node.outputs[0]);
      j["output"] = cat(name(info.dtype), info.ranked ? to_string(info.shape) : "[*]");
    }
    nodes.push_back(std::move(j));
    for (const auto& [attr, body] : steps[n].bodies)
      if (GraphPtr inner = node.attrs.graph(attr)) add_nodes(*inner, body, cat(prefix, node.name, "/", attr, "/"), nodes);
  }
}

static json figures_json(const MemoryFigures& m) {
  return {{"peak", m.peak}, {"lower_bound", m.lower_bound}, {"unknown_values", m.unknown}};
}

std::string make_report(const EngineContent& c, const PassReport& passes) {
  json j = {{"schema", "tenon.report/1"}, {"target", c.target}, {"precision", c.precision}};
  j["passes"] = json::array();
  for (const auto& p : passes.passes) j["passes"].push_back({{"name", p.name}, {"nodes_before", p.nodes_before}, {"nodes_after", p.nodes_after}});
  if (!passes.observed.empty()) j["observed"] = passes.observed;
  if (!passes.rounding.empty()) j["rounding"] = passes.rounding;
  if (c.precision != "fp32") {
    j["kept_float32"] = json::array();
    for (const KeptFloat& k : passes.kept)
      j["kept_float32"].push_back({{"value", k.value}, {"op", k.op}, {"origins", k.origins}, {"rule", k.rule}, {"why", k.why}});
  }
  j["nodes"] = json::array();
  add_nodes(c.graph, c.steps, "", j["nodes"]);
  j["memory"] = {{"weights", weight_bytes(c.graph, c.steps)}, {"profiles", json::array()}};
  j["profiles"] = json::array();
  for (const OptimizationProfile& p : c.profiles) {
    json dims = json::object();
    for (const auto& [symbol, r] : p.dims)
      dims[symbol] = {{"min", r.min}, {"opt", r.opt}, {"max", r.max == kUnbounded ? json(nullptr) : json(r.max)}};
    j["profiles"].push_back({{"dims", dims}});
    j["memory"]["profiles"].push_back({{"opt", figures_json(plan_workspace(c.graph, c.steps, c.target, p, false))},
                                       {"max", has_maximum(p) ? figures_json(plan_workspace(c.graph, c.steps, c.target, p, true)) : json(nullptr)}});
  }
  // Names of a model need not be UTF-8.
  return j.dump(1, ' ', false, json::error_handler_t::replace);
}

KeptSummary summarize_kept(const std::string& report) {
  constexpr size_t kNamed = 3;
  KeptSummary out;
  const json j = json::parse(report, nullptr, false);
  if (!j.is_object()) return out;
  if (j.contains("observed") && j["observed"].is_string()) out.observed = j["observed"];
  if (j.contains("rounding") && j["rounding"].is_string()) out.rounding = j["rounding"];
  if (!j.contains("kept_float32") || !j["kept_float32"].is_array()) return out;
  for (const json& k : j["kept_float32"])
    out.nodes.push_back({k.value("value", ""), k.value("op", ""), k.value("origins", std::vector<std::string>()), k.value("rule", ""), k.value("why", "")});
  for (const char* rule : {"pinned", "range", "statistics", "position", "rounding", "result"}) {
    std::vector<std::string> named;
    size_t count = 0;
    for (const KeptFloat& k : out.nodes) {
      if (k.rule != rule) continue;
      if (++count <= kNamed) named.push_back(cat(k.op, " '", escape(k.origins.empty() ? k.value : k.origins[0]), "' (", escape(k.why), ")"));
    }
    if (count > kNamed) named.push_back("…");
    if (count) out.lines.push_back(cat(count, count == 1 ? " node, " : " nodes, ", rule, ": ", join(named, ", ")));
  }
  return out;
}

namespace {
struct Fallback {
  const Node* node;
  const StepPlan* step;
};
}  // namespace

static void collect_fallbacks(const Graph& g, const std::vector<StepPlan>& steps, std::vector<Fallback>& out) {
  for (size_t n = 0; n < steps.size(); ++n) {
    if (steps[n].fallback) out.push_back({&g.nodes[n], &steps[n]});
    for (const auto& [attr, body] : steps[n].bodies)
      if (GraphPtr inner = g.nodes[n].attrs.graph(attr)) collect_fallbacks(*inner, body, out);
  }
}

std::vector<std::string> list_fallbacks(const EngineContent& c) {
  std::vector<Fallback> found;
  collect_fallbacks(c.graph, c.steps, found);
  std::vector<std::string> out;
  for (const Fallback& f : found) out.push_back(cat(describe(*f.node), ": ", f.step->reason));
  return out;
}

std::vector<std::string> summarize_fallbacks(const EngineContent& c) {
  constexpr size_t kNamed = 3;
  std::vector<Fallback> found;
  collect_fallbacks(c.graph, c.steps, found);
  std::vector<std::string> out;
  std::vector<bool> done(found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (done[i]) continue;
    std::vector<std::string> names;
    for (size_t k = i; k < found.size(); ++k) {
      if (found[k].node->op != found[i].node->op || found[k].step->reason != found[i].step->reason ||
          found[k].step->image.backend != found[i].step->image.backend)
        continue;
      done[k] = true;
      names.push_back(cat("'", escape(found[k].node->name), "'"));
    }
    const size_t count = names.size();
    if (count > kNamed) names.resize(kNamed), names.push_back("…");
    out.push_back(cat(found[i].node->op->name, " on ", found[i].step->image.backend, ", ", count, count == 1 ? " node (" : " nodes (",
                      join(names, ", "), "): ", found[i].step->reason));
  }
  return out;
}

}  // namespace tenon
