// tenon ops: the support matrix, drawn from the operator book.
#include <algorithm>

#include "backend/compiler.h"
#include "command.h"
#include "engine/step_kind.h"
#include "ir/infer.h"
#include "ir/random_input.h"
#include "json.h"
#include "passes/pipeline.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"GLOB", "only operators of this name: 'Reduce*'", true});
}

static std::vector<std::string> type_names(DTypeSet set) {
  std::vector<std::string> out;
  for (int t = 1; t < kNumDTypes; ++t)
    if (set.contains(DType(t))) out.push_back(name(DType(t)));
  return out;
}

// The first opset whose models import.
static int oldest(const Op& op) {
  int since = op.compatible_from;
  for (const OlderForm& form : op.older) since = std::min(since, form.from);
  return since;
}

// A graph of one node with a sample's inputs. Those with given values are constants, as they are in most models; so are,
// with `weights`, all but the first.
static Result<Graph> sample_graph(const Op& op, const Sample& sample, bool weights) {
  Graph g;
  std::vector<ValueId> inputs, outputs;
  for (const SampleInput& in : sample.inputs) {
    if (in.absent) {
      inputs.push_back(kNoValue);
      continue;
    }
    const std::string name = cat("x", inputs.size());
    if (in.values.empty() && (!weights || inputs.empty())) {
      inputs.push_back(g.add_value(name, {in.dtype, true, to_sym(in.shape), Tensor(), std::nullopt}));
      g.inputs.push_back(inputs.back());
      continue;
    }
    Tensor t = TRY(random_input(in.dtype, in.shape, inputs.size() + 1));
    for (int64_t i = 0; i < t.size() && i < int64_t(in.values.size()); ++i)
      is_float(in.dtype) ? t.set(i, in.values[size_t(i)]) : t.set_int(i, int64_t(in.values[size_t(i)]));
    inputs.push_back(g.add_constant(name, t));
  }
  for (size_t i = 0; i < sample.outputs; ++i) outputs.push_back(g.add_value(cat("y", i)));
  Attrs attrs = sample.attrs;
  TRY(normalize_attrs(op, attrs));
  g.add_node(&op, op.name, attrs, inputs, outputs);
  for (size_t i = 0; i < outputs.size(); ++i) g.add_output(cat("y", i), outputs[i]);
  TRY(infer_graph(g));
  return g;
}

static bool has_body(const Node& node) {
  return std::any_of(node.attrs.begin(), node.attrs.end(), [](const auto& a) { return kind(a.second) == AttrKind::graph; });
}

// Whether the passes leave only what the device has kernels for. Nothing left is no evidence. Control flow is the host's
// everywhere; only its bodies' nodes have kernels of a device.
static bool runs_on(const Graph& g, const KernelCompiler& compiler) {
  auto optimized = optimize(g);
  if (!optimized.ok() || optimized->nodes.empty()) return false;
  return std::all_of(optimized->nodes.begin(), optimized->nodes.end(), [&](const Node& n) {
    if (step_kind(n) != StepKind::kernel || (n.op->domain != "tenon" && has_body(n))) return true;
    return compiler.supports({*optimized, n}).yes;
  });
}

// The devices that have a kernel for at least one of the operator's samples.
static std::vector<std::string> devices_of(const Op& op, const std::vector<std::pair<std::string, std::unique_ptr<KernelCompiler>>>& compilers) {
  std::vector<std::string> out;
  for (const auto& [device, compiler] : compilers) {
    bool yes = op.view;
    for (const Sample& sample : op.samples)
      for (bool weights : {false, true}) {
        if (yes) break;
        auto g = sample_graph(op, sample, weights);
        yes = g.ok() && runs_on(*g, *compiler);
      }
    if (yes) out.push_back(device);
  }
  return out;
}

static Result<int> run(const Options& o) {
  // Only asked, so neither a device nor its compiler has to be here.
  constexpr const char* kWithoutGpu = "cuda:sm_90a";
  std::vector<std::pair<std::string, std::unique_ptr<KernelCompiler>>> compilers;
  for (const std::string& device : device_names()) {
    auto compiler = create_compiler(device, "");
    if (!compiler.ok() && starts_with(kWithoutGpu, device + ":")) compiler = create_compiler(device, kWithoutGpu);
    if (compiler.ok()) compilers.emplace_back(device, std::move(compiler).value());
  }
  ordered_json list = ordered_json::array();
  Table table({"OPERATOR", ">VERSION", ">SINCE", "DEVICES", "INPUTS"});
  const std::string glob = o.argument(0);
  int64_t count = 0;
  for (const Op* op : all_ops()) {
    if (op->domain == "tenon") continue;  // operators that passes make; no model has them
    if (!glob.empty() && !glob_match(glob, op->name)) continue;
    ++count;
    const std::vector<std::string> devices = devices_of(*op, compilers);
    ordered_json inputs = ordered_json::array();
    std::vector<std::string> shown;
    for (const Param& p : op->inputs) {
      const char* mode = p.mode == Param::optional ? "optional" : p.mode == Param::variadic ? "variadic" : "required";
      inputs.push_back({{"name", p.name}, {"types", type_names(p.types)}, {"mode", mode}});
      shown.push_back(p.name + (p.mode == Param::optional ? "?" : p.mode == Param::variadic ? "..." : ""));
    }
    list.push_back({{"name", op->name}, {"domain", op->domain.empty() ? "ai.onnx" : op->domain}, {"version", op->version}, {"since", oldest(*op)},
                    {"removed_in", op->removed_in ? ordered_json(op->removed_in) : ordered_json(nullptr)}, {"inputs", inputs},
                    {"deterministic", op->deterministic}, {"devices", devices}});
    table.add({op->domain.empty() ? op->name : cat(op->domain, ".", op->name), cat(op->version), cat(oldest(*op)), join(devices, " "), join(shown, ", ")});
  }
  if (o.has("json")) {
    print_json({{"schema", "tenon.ops/1"}, {"count", count}, {"operators", list}});
  } else {
    print_text(table.text());
    note(counted(count, "operator"), ". DEVICES have a kernel for usual inputs; any operator runs on the reference.");
  }
  return int(kOk);
}

extern const Command ops_command = {
    "ops", "list the operators and the devices that have kernels for them",
    "tenon ops\n"
    "tenon ops 'Reduce*'\n"
    "tenon ops --json",
    declare, run};

}  // namespace tenon::cli
