// tenon check: which nodes of a model each device can run, and why not the others.
#include "backend/compiler.h"
#include "engine/step_kind.h"
#include "json.h"
#include "lowering/lower.h"
#include "model.h"
#include "onnx/import.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL.onnx", "the model"});
  o.add(Option{"device", 0, Kind::text, "NAME", "only this device", "", true});
  o.add(Option{"shape", 0, Kind::text, "NAME:1x3x224x224", "an input's shape or range, as for build", "", true});
  o.add(Option{"all", 0, Kind::flag, "", "list the nodes that have kernels, too"});
}

namespace {
struct Verdict {
  std::string kernel;  // "" where there is none of the device
  std::string reason;
};
using Verdicts = std::map<std::string, Verdict>;  // by ONNX node
}  // namespace

// A node done by several steps is told by the heaviest: one without a kernel, then kernels, then views.
static int weight(const Verdict& v) { return v.kernel.empty() ? 2 : v.kernel == "view" || v.kernel == "shape arithmetic" ? 0 : 1; }

static void collect(const Graph& g, const std::vector<StepPlan>& steps, Verdicts& out) {
  for (size_t n = 0; n < steps.size(); ++n) {
    const Node& node = g.nodes[n];
    const StepKind kind = step_kind(node);
    if (kind == StepKind::copy) continue;
    Verdict v{kind == StepKind::view ? "view" : kind == StepKind::dims ? "shape arithmetic" : steps[n].image.kernel, steps[n].reason};
    if (steps[n].fallback) v.kernel.clear();
    for (const std::string& origin : node.origins) {
      auto [it, added] = out.try_emplace(origin, v);
      if (!added && weight(v) > weight(it->second)) it->second = v;
    }
    for (const auto& [attr, body] : steps[n].bodies)
      if (GraphPtr inner = node.attrs.graph(attr)) collect(*inner, body, out);
  }
}

static Result<Verdicts> ask(const Graph& optimized, const std::string& device) {
  const Lowered lowered = TRY(lower(optimized, TRY(create_compilers(device, ""))));
  Verdicts out;
  collect(lowered.graph, lowered.steps, out);
  return out;
}

static Result<int> run(const Options& o) {
  TRY(open_file(o.argument(0)));
  onnx::ImportedModel model = TRY(onnx::import_file(o.argument(0)));
  TRY(apply_shapes(model.graph, TRY(shape_specs(o))));
  const Graph optimized = TRY(optimize(model.graph));
  std::vector<std::string> devices = o.texts("device");
  if (devices.empty())
    for (const std::string& name : device_names())
      if (device_state(name).ok()) devices.push_back(name);

  std::vector<Verdicts> verdicts;
  for (const std::string& device : devices) verdicts.push_back(TRY(ask(optimized, device)));
  ordered_json nodes = ordered_json::array(), counts = ordered_json::object();
  std::vector<std::string> heading{"NODE"};
  for (const std::string& device : devices) heading.push_back(device);
  Table table(heading);
  std::vector<size_t> without(devices.size());
  bool listed = false;
  for (const Node& node : model.graph.nodes) {
    ordered_json j = {{"name", node.name}, {"op", node.op->name}, {"devices", ordered_json::object()}};
    std::vector<std::string> row{escape(describe(node))};
    bool all_good = true;
    for (size_t d = 0; d < devices.size(); ++d) {
      auto it = verdicts[d].find(node.name);
      const Verdict v = it == verdicts[d].end() ? Verdict{"none needed", "folded at build time"} : it->second;
      if (v.kernel.empty()) ++without[d];
      all_good = all_good && !v.kernel.empty();
      row.push_back(v.kernel.empty() ? "no kernel: " + v.reason : v.kernel);
      j["devices"][devices[d]] = {{"kernel", v.kernel.empty() ? ordered_json(nullptr) : ordered_json(v.kernel)}, {"reason", v.reason}};
    }
    nodes.push_back(j);
    if (!all_good || o.has("all")) table.add(row), listed = true;
  }
  for (size_t d = 0; d < devices.size(); ++d)
    counts[devices[d]] = {{"nodes", model.graph.nodes.size()}, {"without_kernel", without[d]}};
  if (o.has("json")) {
    print_json({{"schema", "tenon.check/1"}, {"model", o.argument(0)}, {"opset", model.opset}, {"devices", counts}, {"nodes", nodes}});
    return int(kOk);
  }
  for (size_t d = 0; d < devices.size(); ++d)
    print_line(devices[d], ": ", model.graph.nodes.size() - without[d], " of ", counted(int64_t(model.graph.nodes.size()), "node"), model.graph.nodes.size() == 1 ? " has a kernel" : " have kernels",
               without[d] ? model.graph.nodes.size() == 1 ? "; it runs on the reference" : "; the others run on the reference" : "");
  if (listed) print_text("\n" + table.text());
  return int(kOk);
}

extern const Command check_command = {
    "check", "say which nodes of a model each device can run",
    "tenon check model.onnx\n"
    "tenon check model.onnx --device cpu --all",
    declare, run};

}  // namespace tenon::cli
