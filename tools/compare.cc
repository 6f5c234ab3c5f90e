// tenon compare: a model's results on a device against a reference, output by output or layer by layer.
#include <algorithm>
#include <cmath>

#include "difference.h"
#include "engine/engine_file.h"
#include "ir/interpreter.h"
#include "json.h"
#include "lowering/lower.h"
#include "model.h"
#include "npy.h"
#include "onnx/import.h"
#include "peers.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL", "an ONNX model; or an engine, which is held against its golden outputs"});
  o.add(Option{"ref", 0, Kind::text, "WHAT", "reference, onnxruntime, or a .npz of inputs and outputs", "reference"});
  o.add(Option{"per-layer", 0, Kind::flag, "", "every value between the steps, too"});
  o.add(Option{"tolerance", 0, Kind::text, "PART", "of an output's largest magnitude", "1e-4"});
  declare_build_options(o);
  o.add(Option{"input", 0, Kind::text, "NAME=FILE.npy", "data of an input; others are random", "", true});
  o.add(Option{"seed", 0, Kind::integer, "N", "of the random data", "0", false, true});
  declare_context_options(o);
  o.add(Option{"bisect", 0, Kind::flag, "", "", "", false, true, {}, 0, 0, "--per-layer shows the first value that differs"});
}

namespace {
// Results beside what was expected of them.
struct Row {
  std::string name, op;
  std::vector<std::string> origins;
  std::string type;
  Difference difference;
  bool in_tolerance = true;
};

class Report {
 public:
  explicit Report(double tolerance) : tolerance_(tolerance) {}

  void add(const std::string& name, const Node* node, const Tensor& got, const Tensor& expected) {
    Row r{name, node ? show_op(*node) : "", node ? node->origins : std::vector<std::string>(), show_tensor(expected), compare_tensors(got, expected)};
    if (got.dtype() != expected.dtype() || got.shape() != expected.shape()) r.type = cat(show_tensor(got), ", expected ", r.type);
    r.in_tolerance = r.difference.relative <= tolerance_;
    worst_ = std::max(worst_, r.difference.relative);
    outside_ += !r.in_tolerance;
    rows_.push_back(std::move(r));
  }

  void print(bool per_layer) const {
    std::vector<std::string> heading{"", per_layer ? "VALUE" : "OUTPUT", ">MAX ABS", ">MAX REL", ">DIFFER", "TYPE"};
    if (per_layer) heading.insert(heading.end(), {"OP", "ONNX NODES"});
    Table table(heading);
    for (const Row& r : rows_) {
      std::vector<std::string> row{r.in_tolerance ? "ok" : "FAR", escape(r.name), scientific(r.difference.absolute), scientific(r.difference.relative),
                                   cat(r.difference.unequal), r.type};
      if (per_layer) row.insert(row.end(), {r.op, escape(join(r.origins, " + ").substr(0, 100))});
      table.add(row);
    }
    print_text(table.text());
  }

  ordered_json rows() const {
    ordered_json out = ordered_json::array();
    for (const Row& r : rows_) {
      ordered_json j = {{"name", r.name}, {"max_abs", number(r.difference.absolute)}, {"max_rel", number(r.difference.relative)},
                        {"unequal", r.difference.unequal}, {"in_tolerance", r.in_tolerance}, {"type", r.type}};
      if (!r.op.empty()) j.update({{"op", r.op}, {"origins", r.origins}});
      out.push_back(j);
    }
    return out;
  }

  // `what` in the plural.
  Status verdict(const std::string& what, bool per_layer, const std::string& model) const {
    if (outside_ == 0) return {};
    const Row& first = *std::find_if(rows_.begin(), rows_.end(), [](const Row& r) { return !r.in_tolerance; });
    const std::string label = first.op.empty() ? cat("'", escape(first.name), "'") : cat(first.op, " '", escape(join(first.origins, " + ").substr(0, 100)), "'");
    return Status(Code::accuracy, cat(outside_, " of ", counted(int64_t(rows_.size()), what.substr(0, what.size() - 1)),
                                      outside_ == 1 ? " differs" : " differ", " by more than ", scientific(tolerance_),
                                      " of their largest magnitude; first ", label, " by ", scientific(first.difference.relative)),
                  per_layer ? "" : cat("tenon compare ", model, " --per-layer"));
  }
  double worst() const { return worst_; }
  size_t outside() const { return outside_; }
  static ordered_json number(double v) { return std::isfinite(v) ? ordered_json(v) : ordered_json("inf"); }

 private:
  double tolerance_, worst_ = 0;
  size_t outside_ = 0;
  std::vector<Row> rows_;
};

struct Expected {
  std::vector<Tensor> inputs, outputs;
};
}  // namespace

// Tensors in the types that these values of the graph have.
static Status match_types(const Graph& g, const std::vector<ValueId>& values, std::vector<Tensor>& tensors) {
  for (size_t i = 0; i < values.size(); ++i) tensors[i] = TRY(converted(tensors[i], g.info(values[i]).dtype));
  return {};
}

// Inputs and outputs by name from a .npz.
static Result<Expected> from_npz(const std::string& path, const Graph& g, bool retyped) {
  const std::map<std::string, Tensor> arrays = TRY(read_npz(path));
  Expected out;
  auto take = [&](const std::string& name, std::vector<Tensor>& to) -> Status {
    auto it = arrays.find(name);
    if (it == arrays.end()) return invalid_argument("'", escape(path), "' has no array '", escape(name), "'; it needs every input and output of the model");
    to.push_back(it->second);
    return {};
  };
  for (ValueId v : g.inputs) TRY(take(g.value(v).name, out.inputs));
  for (const std::string& name : g.output_names) TRY(take(name, out.outputs));
  if (retyped) {
    TRY(match_types(g, g.inputs, out.inputs));
    TRY(match_types(g, g.outputs, out.outputs));
  }
  return out;
}

static Result<Expected> expected_outputs(const Options& o, const Graph& g, const std::vector<OptimizationProfile>& profiles, const std::string& ref) {
  if (ref.size() > 4 && ref.substr(ref.size() - 4) == ".npz") return from_npz(ref, g, o.has("io"));
  Expected out;
  out.inputs = TRY(given_inputs(o, g, profiles, true));
  if (ref == "reference") {
    out.outputs = TRY(interpret(g, out.inputs));
    return out;
  }
  PeerRequest request{ref, o.argument(0), {}, g.output_names, out.inputs, std::max(1, int(o.integer("threads"))), 0, 0};
  for (ValueId v : g.inputs) request.input_names.push_back(g.value(v).name);
  PeerAnswer answer = TRY(ask_peer(request));
  out.outputs = std::move(answer.outputs);
  if (out.outputs.size() != g.outputs.size()) return internal_error(ref, " gave ", out.outputs.size(), " outputs, the model has ", g.outputs.size());
  if (o.has("io")) TRY(match_types(g, g.outputs, out.outputs));
  return out;
}

// The optimised graph with every value that a node computes as an output.
static Graph with_all_outputs(const Graph& from, std::vector<const Node*>& makers) {
  Graph g = from;
  g.outputs.clear();
  g.output_names.clear();
  for (const Node& node : from.nodes)
    for (ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      g.add_output(g.value(v).name, v);
      makers.push_back(&node);
    }
  return g;
}

// Each value of the optimised graph: the interpreter's against the engine's.
static Status compare_layers(const Graph& imported, const BuildChoice& choice, const ContextOptions& options, const std::vector<Tensor>& inputs, Report& report,
                             std::string& device) {
  const Graph optimized = TRY(optimize(imported, choice.options.passes));
  std::vector<const Node*> makers;
  EngineContent content;
  content.graph = with_all_outputs(optimized, makers);
  const Compilers compilers = TRY(create_compilers(choice.options.device, choice.options.target));
  Lowered lowered = TRY(lower(std::move(content.graph), compilers));
  content.graph = std::move(lowered.graph);
  content.steps = std::move(lowered.steps);
  content.target = compilers[0]->target();
  const std::vector<Tensor> expected = TRY(interpret(content.graph, inputs));
  const std::vector<std::string> names = content.graph.output_names;
  auto engine = TRY(load_built(TRY(serialize_engine(content)), choice.ordinal));
  device = device_text(*engine);
  auto context = TRY(Context::create(engine, options));
  std::vector<Tensor> outputs;
  TRY(context->run(inputs, outputs));
  for (size_t i = 0; i < outputs.size(); ++i) report.add(names[i], makers[i], outputs[i], expected[i]);
  return {};
}

static Result<int> finish(const Options& o, const Report& report, const std::string& what, const std::string& ref, const std::string& device, double tolerance) {
  const bool per_layer = o.has("per-layer");
  if (o.has("json"))
    print_json({{"schema", "tenon.compare/1"}, {"model", o.argument(0)}, {"device", device}, {"ref", ref}, {"tolerance", tolerance},
                {"worst_rel", Report::number(report.worst())}, {"outside", report.outside()}, {what, report.rows()}});
  else
    report.print(per_layer);
  TRY(report.verdict(what, per_layer, o.argument(0)));
  if (!o.has("json")) note("all within ", scientific(tolerance), " of their largest magnitude; the largest difference is ", scientific(report.worst()));
  return int(kOk);
}

static Result<int> compare_golden(const Options& o, double tolerance) {
  const OpenModel model = TRY(open_model(o, o.argument(0)));
  const GoldenRecord& golden = model.engine->content().golden;
  if (o.has("ref") || o.has("per-layer"))
    return Status(Code::invalid_argument, "an engine is held against its own golden outputs; --ref and --per-layer need the ONNX model", "tenon compare MODEL.onnx");
  if (golden.outputs.empty()) return Status(Code::invalid_argument, cat("the engine has no golden outputs (", golden.source, ")"), "tenon compare MODEL.onnx");
  auto context = TRY(Context::create(model.engine, context_options(o)));
  std::vector<Tensor> outputs;
  TRY(context->run(golden.inputs, outputs));
  Report report(tolerance);
  for (size_t i = 0; i < outputs.size(); ++i) report.add(model.engine->graph().output_names[i], nullptr, outputs[i], golden.outputs[i]);
  return finish(o, report, "outputs", "golden", device_text(*model.engine), tolerance);
}

static Result<int> run(const Options& o) {
  double tolerance;
  if (!parse_double(o.text("tolerance"), tolerance) || !(tolerance >= 0))
    return Status(Code::invalid_argument, cat("--tolerance: '", escape(o.text("tolerance")), "' is not a number"), "--tolerance 1e-4");
  const std::string path = o.argument(0), ref = o.text("ref");
  auto file = TRY(open_file(path));
  if (is_engine(path, file->bytes())) return compare_golden(o, tolerance);
  const std::vector<std::string> refs{"reference", "onnxruntime", "openvino"};
  if (std::find(refs.begin(), refs.end(), ref) == refs.end() && !(ref.size() > 4 && ref.substr(ref.size() - 4) == ".npz")) {
    const std::string near = nearest(ref, refs);
    return Status(Code::invalid_argument, cat("--ref: '", escape(ref), "' is no reference", near.empty() ? "" : cat("; did you mean '", near, "'?")),
                  "reference, onnxruntime, or FILE.npz");
  }
  const BuildChoice choice = TRY(build_choice(o));
  onnx::ImportedModel model = TRY(onnx::import_file(path));
  TRY(apply_io_types(model.graph, choice.options.io_types));
  const std::vector<OptimizationProfile> profiles = TRY(apply_shapes(model.graph, choice.options.shapes));
  const Expected expected = TRY(expected_outputs(o, model.graph, profiles, ref));
  Report report(tolerance);
  std::string device;
  if (o.has("per-layer")) {
    TRY(compare_layers(model.graph, choice, context_options(o), expected.inputs, report, device));
    return finish(o, report, "values", "reference", device, tolerance);
  }
  const OpenModel built = TRY(open_model(o, path));
  auto context = TRY(Context::create(built.engine, context_options(o)));
  std::vector<Tensor> outputs;
  TRY(context->run(expected.inputs, outputs));
  for (size_t i = 0; i < outputs.size(); ++i) report.add(model.graph.output_names[i], nullptr, outputs[i], expected.outputs[i]);
  return finish(o, report, "outputs", ref, device_text(*built.engine), tolerance);
}

extern const Command compare_command = {
    "compare", "hold a model's results against a reference",
    "tenon compare model.onnx\n"
    "tenon compare model.onnx --per-layer\n"
    "tenon compare model.onnx --ref onnxruntime --tolerance 1e-3",
    declare, run};

}  // namespace tenon::cli
