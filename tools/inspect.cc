// tenon inspect: what a model or an engine is. Needs no device.
#include <algorithm>

#include "compiler/memory.h"
#include "compiler/report.h"
#include "engine/engine_file.h"
#include "engine/serialize.h"
#include "engine/step_kind.h"
#include "json.h"
#include "model.h"
#include "onnx/import.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL", "an engine or an ONNX model"});
  o.add(Option{"layers", 0, Kind::flag, "", "each step or node, with the ONNX nodes that it does"});
  o.add(Option{"memory", 0, Kind::flag, "", "planned memory for each profile"});
  o.add(Option{"tactics", 0, Kind::flag, "", "each step's kernel, its parameters, and what it was chosen from"});
  o.add(Option{"shape", 0, Kind::text, "NAME:1x3x224x224", "shapes of an ONNX model's inputs", "", true, true});
}

static ordered_json shape_json(const ValueInfo& info) {
  if (!info.ranked) return nullptr;
  ordered_json out = ordered_json::array();
  for (const Dim& d : info.shape) d.is_const() ? out.push_back(d.constant()) : out.push_back(d.to_string());
  return out;
}

static void add_interface(const Graph& g, ordered_json& j) {
  j["inputs"] = j["outputs"] = ordered_json::array();
  for (ValueId v : g.inputs) j["inputs"].push_back({{"name", g.value(v).name}, {"dtype", name(g.info(v).dtype)}, {"shape", shape_json(g.info(v))}});
  for (size_t i = 0; i < g.outputs.size(); ++i)
    j["outputs"].push_back({{"name", g.output_names[i]}, {"dtype", name(g.info(g.outputs[i]).dtype)}, {"shape", shape_json(g.info(g.outputs[i]))}});
}

static void print_interface(const Graph& g) {
  for (ValueId v : g.inputs) print_line("  input      ", escape(g.value(v).name), ": ", show_type(g.info(v)));
  for (size_t i = 0; i < g.outputs.size(); ++i) print_line("  output     ", escape(g.output_names[i]), ": ", show_type(g.info(g.outputs[i])));
}

static std::string show_range(const DimRange& r) {
  return cat(r.min, "..", r.opt, "..", r.max == kUnbounded ? std::string("any") : cat(r.max));
}

static std::string show_profile(const OptimizationProfile& p) {
  std::vector<std::string> parts;
  for (const auto& [symbol, r] : p.dims) parts.push_back(cat(symbol, " = ", show_range(r)));
  return parts.empty() ? "fixed shapes" : join(parts, ", ");
}

static ordered_json figures(const MemoryFigures& m) {
  return {{"peak", m.peak}, {"lower_bound", m.lower_bound}, {"unknown_values", m.unknown}};
}

namespace {
// What an engine and a run of it take in either memory: weights, machine code and intermediate tensors.
struct Places {
  int64_t device = 0, host = 0;
};
}  // namespace

static Places places(const EngineContent& c, const OptimizationProfile& p, bool at_maximum) {
  const std::string backend = backend_of(c.target);
  const std::vector<bool> there = values_on_device(c.graph, c.steps, backend);
  const int64_t all = weight_bytes(c.graph, c.steps);
  if (there.empty()) return {0, all + plan_intermediates(c.graph, c.steps, p, at_maximum).peak};
  std::vector<bool> here = there;
  here.flip();
  // The file with all weights is mapped on the host, but what is on the device is not read from there again.
  const int64_t on_device = weight_bytes(c.graph, c.steps, backend);
  return {on_device + plan_workspace(c.graph, c.steps, c.target, p, at_maximum).peak,
          std::max<int64_t>(all - on_device, 0) + plan_intermediates(c.graph, c.steps, p, at_maximum, here).peak};
}

static ordered_json mib_json(const Places& p) { return {{"host", double(p.host) / 1048576}, {"device", double(p.device) / 1048576}}; }

static ordered_json memory_json(const Graph& g, const std::vector<StepPlan>& steps, const std::vector<OptimizationProfile>& profiles,
                                const std::string& target = "") {
  ordered_json j = {{"weights", weight_bytes(g, steps)}, {"profiles", ordered_json::array()}};
  for (const OptimizationProfile& p : profiles)
    j["profiles"].push_back({{"opt", figures(plan_workspace(g, steps, target, p, false))},
                             {"max", has_maximum(p) ? figures(plan_workspace(g, steps, target, p, true)) : ordered_json(nullptr)}});
  return j;
}

static ordered_json engine_memory_json(const EngineContent& c) {
  ordered_json j = memory_json(c.graph, c.steps, c.profiles, c.target);
  for (size_t i = 0; i < c.profiles.size(); ++i)
    for (const bool at_maximum : {false, true}) {
      ordered_json& at = j["profiles"][i][at_maximum ? "max" : "opt"];
      if (!at.is_null()) at["memory_mib"] = mib_json(places(c, c.profiles[i], at_maximum));
    }
  return j;
}

// Of engines for a device with memory of its own.
static void print_places(const EngineContent& c) {
  Table table({"PROFILE", "AT", ">ON THE DEVICE", ">ON THE HOST"});
  for (const OptimizationProfile& p : c.profiles)
    for (bool at_maximum : {false, true}) {
      if (at_maximum && (p.dims.empty() || !has_maximum(p))) continue;
      const Places at = places(c, p, at_maximum);
      if (at.device == 0) return;
      table.add({show_profile(p), at_maximum ? "max" : "opt", human_bytes(uint64_t(at.device)), human_bytes(uint64_t(at.host))});
    }
  print_line("\nWith weights and machine code:");
  print_text(table.text("  "));
}

static void print_memory(const Graph& g, const std::vector<StepPlan>& steps, const std::vector<OptimizationProfile>& profiles,
                         const std::string& target = "") {
  print_line("\nMemory: weights ", human_bytes(uint64_t(weight_bytes(g, steps))), "; intermediate tensors as planned:");
  Table table({"PROFILE", "AT", ">PEAK", ">LOWER BOUND", "SIZE KNOWN ONLY IN THE RUN"});
  for (const OptimizationProfile& p : profiles)
    for (bool at_maximum : {false, true}) {
      if (at_maximum && (p.dims.empty() || !has_maximum(p))) continue;
      const MemoryFigures m = plan_workspace(g, steps, target, p, at_maximum);
      table.add({show_profile(p), at_maximum ? "max" : "opt", human_bytes(uint64_t(m.peak)), human_bytes(uint64_t(m.lower_bound)),
                 m.unknown ? counted(int64_t(m.unknown), "value") : "none"});
    }
  print_text(table.text("  "));
}

namespace {
struct Layer {
  std::string name, op, shown_op, output, kernel, config, reason;
  std::vector<std::string> origins;
  bool fallback = false;
  std::vector<Tactic> tactics;
};
}  // namespace

static void collect_layers(const Graph& g, const std::vector<StepPlan>& steps, const std::string& prefix, std::vector<Layer>& out) {
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    Layer l{prefix + node.name, node.op->name, show_op(node), "", "", "", "", node.origins, false, {}};
    if (!node.outputs.empty() && node.outputs[0] != kNoValue) l.output = show_type(g.info(node.outputs[0]));
    if (n < steps.size()) {
      const StepKind kind = step_kind(node);
      const KernelImage& image = steps[n].image;
      l.kernel = kind == StepKind::view ? "view" : kind == StepKind::dims ? "shape arithmetic" : kind == StepKind::copy ? "copy to " + node.attrs.s("to") : image.kernel;
      l.config = image.config;
      l.reason = steps[n].reason;
      l.fallback = steps[n].fallback;
      l.tactics = steps[n].tactics;
    }
    out.push_back(std::move(l));
    if (n < steps.size())
      for (const auto& [attr, body] : steps[n].bodies)
        if (GraphPtr inner = node.attrs.graph(attr)) collect_layers(*inner, body, cat(prefix, node.name, "/", attr, "/"), out);
  }
}

static std::string shorten(const std::string& text, size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 3) + "...";
}

static void print_layers(const std::vector<Layer>& layers, bool with_kernels) {
  print_text("\n");
  std::vector<std::string> heading{">#", "OP", "OUTPUT"};
  if (with_kernels) heading.push_back("KERNEL");
  heading.push_back(with_kernels ? "ONNX NODES" : "NAME");
  Table table(heading);
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& l = layers[i];
    std::vector<std::string> row{cat(i), l.shown_op, l.output};
    if (with_kernels) row.push_back(l.kernel + (l.fallback ? " (fallback)" : ""));
    row.push_back(escape(with_kernels ? shorten(join(l.origins, " + "), 100) : l.name));
    table.add(row);
  }
  print_text(table.text("  "));
}

// The kernels that steps were chosen from, the chosen one first, then as they were compared.
static void print_compared(const std::vector<Layer>& layers) {
  Table table({">#", "COMPARED", ">MEASURED us", ">SPREAD us", ">MODEL us", ""});
  const auto us = [](double seconds) { return seconds > 0 ? fixed(seconds * 1e6, 2) : std::string(); };
  bool any = false;
  for (size_t i = 0; i < layers.size(); ++i)
    for (const bool chosen : {true, false})
      for (const Tactic& t : layers[i].tactics) {
        if (t.chosen != chosen) continue;
        table.add({chosen ? cat(i) : "", escape(t.variant), us(t.seconds), us(t.spread), us(t.estimate), chosen ? "chosen" : t.failure.empty() ? "" : "fails: " + escape(shorten(t.failure, 80))});
        any = true;
      }
  if (any) print_text("\n" + table.text("  "));
}

static void print_tactics(const std::vector<Layer>& layers) {
  print_text("\n");
  Table table({">#", "STEP", "KERNEL", "PARAMETERS", "WHY"});
  for (size_t i = 0; i < layers.size(); ++i)
    if (const Layer& l = layers[i]; l.kernel != "view" && l.kernel != "shape arithmetic")
      table.add({cat(i), cat(l.shown_op, " '", escape(shorten(l.name, 40)), "'"), l.kernel, escape(shorten(l.config, 60)), (l.fallback ? "fallback: " : "") + escape(l.reason)});
  print_text(table.text("  "));
  print_compared(layers);
}

static ordered_json layers_json(const std::vector<Layer>& layers, bool with_kernels) {
  ordered_json out = ordered_json::array();
  for (const Layer& l : layers) {
    ordered_json j = {{"name", l.name}, {"op", l.op}, {"output", l.output}, {"origins", l.origins}};
    if (with_kernels) j.update({{"kernel", l.kernel}, {"config", l.config}, {"reason", l.reason}, {"fallback", l.fallback}});
    if (!l.tactics.empty()) j["tactics"] = ordered_json::parse(tactics_to_json(l.tactics).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    out.push_back(j);
  }
  return out;
}

static ordered_json kept_json(const std::string& report) {
  ordered_json out = ordered_json::array();
  for (const KeptFloat& k : summarize_kept(report).nodes)
    out.push_back({{"value", k.value}, {"op", k.op}, {"origins", k.origins}, {"rule", k.rule}, {"why", k.why}});
  return out;
}

static void print_kept(const KeptSummary& kept) {
  print_line("\nKept in fp32:");
  Table table({"OP", "VALUE", "RULE", "WHY", "ONNX NODES"});
  for (const KeptFloat& k : kept.nodes)
    table.add({k.op, escape(shorten(k.value, 60)), k.rule, escape(shorten(k.why, 80)), escape(shorten(join(k.origins, " + "), 100))});
  print_text(table.text("  "));
}

static Status inspect_engine(const Options& o, const std::string& path, const std::shared_ptr<const MappedFile>& file) {
  auto read = read_engine(file->bytes(), file);
  if (!read.ok()) return read.status().with_prefix(cat("'", escape(path), "': "));
  const EngineContent& c = *read;
  std::vector<Layer> layers;
  collect_layers(c.graph, c.steps, "", layers);
  const std::vector<std::string> fallbacks = list_fallbacks(c);
  const auto families = kernel_families(c.graph, c.steps);
  if (o.has("json")) {
    ordered_json j = {{"schema", "tenon.inspect/1"}, {"file", path}, {"kind", "engine"}, {"bytes", file->bytes().size()}};
    j["manifest"] = ordered_json::parse(TRY(read_manifest(file->bytes())), nullptr, false);
    j["target"] = c.target;
    j["precision"] = c.precision;
    j["model"] = {{"name", c.model_name}, {"producer", c.producer}, {"opset", c.opset}, {"hash", c.model_hash}};
    add_interface(c.graph, j);
    j["kernels"] = families;
    j["fallbacks"] = fallbacks;
    j["kept_float32"] = kept_json(c.report);
    j["golden"] = c.golden.source;
    j["memory"] = engine_memory_json(c);
    j["layers"] = layers_json(layers, true);
    print_json(j);
    return {};
  }
  print_line(escape(path), ": an engine for ", escape(c.target), ", ", escape(c.precision), ", ", human_bytes(file->bytes().size()));
  print_line("  model      ", escape(c.model_name), ", opset ", c.opset, c.producer.empty() ? "" : ", made by ", escape(c.producer), ", hash ", escape(c.model_hash));
  print_interface(c.graph);
  for (const OptimizationProfile& p : c.profiles) print_line("  profile    ", escape(show_profile(p)));
  std::vector<std::string> kernels;
  for (const auto& [family, count] : families) kernels.push_back(cat(count, " ", family));
  print_line("  kernels    ", join(kernels, ", "));
  print_line("  golden     ", escape(c.golden.source));
  const KeptSummary kept = summarize_kept(c.report);
  for (const std::string& line : kept.lines) print_line("  in fp32    ", line);
  if (starts_with(kept.observed, "none")) print_line("  ranges     not observed, ", escape(kept.observed.substr(6)));
  if (!kept.rounding.empty()) print_line("  rounding   ", escape(kept.rounding));
  if (fallbacks.empty()) print_line("  fallbacks  none");
  for (const std::string& f : summarize_fallbacks(c)) print_line("  fallback   ", f);
  if (o.has("memory")) print_memory(c.graph, c.steps, c.profiles, c.target), print_places(c);
  if (o.has("layers")) print_layers(layers, true);
  if (o.has("layers") && !kept.nodes.empty()) print_kept(kept);
  if (o.has("tactics")) print_tactics(layers);
  return {};
}

static Status inspect_model(const Options& o, const std::string& path) {
  if (o.has("tactics")) return Status(Code::invalid_argument, "--tactics needs an engine; an ONNX model has no kernels", cat("tenon build ", path, " -o MODEL.engine"));
  onnx::ImportedModel model = TRY(onnx::import_file(path));
  Graph& g = model.graph;
  const std::vector<OptimizationProfile> profiles = TRY(apply_shapes(g, TRY(shape_specs(o))));
  std::map<std::string, int> ops;
  for (const Node& n : g.nodes) ++ops[n.op->name];
  std::vector<Layer> layers;
  collect_layers(g, {}, "", layers);
  if (o.has("json")) {
    ordered_json j = {{"schema", "tenon.inspect/1"}, {"file", path}, {"kind", "onnx"}, {"opset", model.opset}, {"producer", model.producer}};
    add_interface(g, j);
    j["operators"] = ops;
    j["memory"] = memory_json(g, {}, profiles);
    j["layers"] = layers_json(layers, false);
    print_json(j);
    return {};
  }
  print_line(escape(path), ": an ONNX model, opset ", model.opset, model.producer.empty() ? "" : ", made by ", model.producer);
  print_interface(g);
  std::vector<std::string> counts;
  for (const auto& [op, count] : ops) counts.push_back(cat(count, " ", op));
  print_line("  nodes      ", g.nodes.size(), ": ", join(counts, ", "));
  print_line("  weights    ", human_bytes(uint64_t(weight_bytes(g, {}))));
  if (o.has("memory")) print_memory(g, {}, profiles);
  if (o.has("layers")) print_layers(layers, false);
  return {};
}

static Result<int> run(const Options& o) {
  const std::string path = o.argument(0);
  auto file = TRY(open_file(path));
  TRY(is_engine(path, file->bytes()) ? inspect_engine(o, path, file) : inspect_model(o, path));
  return int(kOk);
}

extern const Command inspect_command = {
    "inspect", "show what an engine or a model holds",
    "tenon inspect model.engine --layers\n"
    "tenon inspect model.engine --memory --tactics\n"
    "tenon inspect model.onnx --json",
    declare, run};

}  // namespace tenon::cli
