#include "model.h"

#include <dirent.h>

#include <algorithm>

#include "engine/engine_file.h"
#include "compiler/report.h"
#include "engine/step_kind.h"
#include "ir/random_input.h"
#include "npy.h"
#include "runtime/symbols.h"

namespace tenon::cli {

void declare_build_options(Options& o) {
  o.add(Option{"device", 0, Kind::text, "NAME[:N]", "cpu, cuda, reference", "cpu"});
  o.add(Option{"shape", 0, Kind::text, "NAME:1x3x224x224", "an input's shape, or range 1..8..64x3x224x224", "", true});
  o.add(Option{"precision", 0, Kind::text, "TYPE", "of the arithmetic", "fp32", false, true, {"fp32", "tf32", "fp16", "bf16", "int8", "fp8", "auto"}});
  o.add(Option{"pin", 0, Kind::text, "GLOB=TYPE", "fp32: nodes of this name or operator stay in it; --precision's type: they move, whatever a rule says", "", true, true});
  o.add(Option{"io", 0, Kind::text, "GLOB=TYPE", "type of inputs and outputs of this name: fp32, fp16, bf16; int32, int64; default the model's", "", true, true});
  o.add(Option{"target", 0, Kind::text, "NAME", "for a device that is absent: cpu:avx2, cuda:sm_90a", "", false, true});
  o.add(Option{"skip-pass", 0, Kind::text, "PASS", "leave out a pass (`tenon opt --list`)", "", true, true});
}

void declare_context_options(Options& o) {
  o.add(Option{"threads", 0, Kind::integer, "N", "host threads; 0: one for each core", "0", false, false, {}, 0, 1024});
  o.add(Option{"workspace", 0, Kind::size, "SIZE", "most memory for intermediate tensors; 0: no limit", "0", false, true});
}

void declare_input_options(Options& o) {
  o.add(Option{"input", 0, Kind::text, "NAME=FILE.npy", "data of an input", "", true});
  o.add(Option{"random", 0, Kind::flag, "", "random data for inputs without a file"});
  o.add(Option{"seed", 0, Kind::integer, "N", "of the random data", "0", false, true});
}

Result<std::vector<ShapeSpec>> shape_specs(const Options& o) {
  std::vector<ShapeSpec> out;
  for (const std::string& text : o.texts("shape")) out.push_back(TRY(parse_shape_spec(text)));
  return out;
}

Result<BuildChoice> build_choice(const Options& o) {
  BuildChoice out;
  const DeviceChoice device = TRY(parse_device(o.text("device")));
  out.ordinal = device.ordinal;
  out.options.device = device.name;
  out.options.target = o.text("target");
  if (!out.options.target.empty()) {
    const std::string owner = backend_of(out.options.target);
    if (o.has("device") && owner != device.name)
      return invalid_argument("--target ", escape(out.options.target), " is not of --device ", escape(device.name));
    out.options.device = owner;
  }
  if (device.ordinal > 0 && out.options.target.empty()) out.options.target = TRY(target_of(device));
  out.options.precision = o.text("precision");
  out.options.shapes = TRY(shape_specs(o));
  for (const std::string& io : o.texts("io")) {
    auto type = parse_io_type(io);
    if (!type.ok()) return type.status().with_prefix("--io: ");
    out.options.io_types.push_back(std::move(*type));
  }
  out.options.pins = o.texts("pin");
  out.options.passes.skip = o.texts("skip-pass");
  return out;
}

ContextOptions context_options(const Options& o) { return {int(o.integer("threads")), o.bytes("workspace")}; }

static bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_engine(const std::string& path, std::span<const uint8_t> bytes) {
  return looks_like_engine(bytes) || ends_with(path, ".engine");
}

static std::string similar_file(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "" : path.substr(0, slash + 1);
  std::vector<std::string> names;
  if (DIR* d = opendir(folder.empty() ? "." : folder.c_str())) {
    while (dirent* e = readdir(d))
      if (names.size() < 10000 && e->d_name[0] != '.') names.push_back(e->d_name);
    closedir(d);
  }
  std::sort(names.begin(), names.end());
  const std::string near = nearest(path.substr(folder.size()), names);
  return near.empty() ? near : folder + near;
}

Result<std::shared_ptr<const MappedFile>> open_file(const std::string& path) {
  auto file = MappedFile::open(path);
  if (file.ok() || file.status().code() != Code::not_found) return file;
  const std::string near = similar_file(path);
  if (near.empty()) return file;
  return make_status(Code::not_found, file.status().message(), "; did you mean '", escape(near), "'?");
}

Result<std::shared_ptr<LoadedEngine>> load_built(std::vector<uint8_t> bytes, int ordinal) {
  auto owner = std::make_shared<std::vector<uint8_t>>(std::move(bytes));
  return LoadedEngine::load_bytes(*owner, owner, {ordinal, false});
}

Result<OpenModel> open_model(const Options& o, const std::string& path) {
  auto file = TRY(open_file(path));
  const BuildChoice choice = TRY(build_choice(o));
  if (is_engine(path, file->bytes())) {
    for (const char* name : {"target", "precision", "pin", "io", "skip-pass"})
      if (o.has(name)) return invalid_argument("--", name, " is for an ONNX model; '", escape(path), "' is built already");
    auto engine = LoadedEngine::load_file(path, {choice.ordinal, true});
    // The file is in order, so it is this machine that does not fit.
    if (engine.status().code() == Code::incompatible && read_manifest(file->bytes()).ok())
      return Status(Code::unavailable, engine.status().message(), engine.status().remedy());
    const std::string device = TRY(engine)->content().target;
    if (o.has("device") && backend_of(device) != choice.options.device)
      return Status(Code::invalid_argument, cat("'", escape(path), "' was built for ", device, ", not for ", escape(choice.options.device)),
                    "give the ONNX model, or leave out --device");
    return OpenModel{std::move(engine).value(), false};
  }
  BuildOptions options = choice.options;
  options.golden = false;
  Progress progress;
  BuildResult built = TRY(compile_file(path, options, [&](const char* stage, int64_t done, int64_t total) {
    progress.update(stage, done, total);
    return true;
  }));
  for (const std::string& line : summarize_fallbacks(built.content)) detail("without a kernel of the device: ", line);
  return OpenModel{TRY(load_built(std::move(built.bytes), choice.ordinal)), true};
}

Result<std::vector<Shape>> input_shapes(const Graph& g, const std::vector<OptimizationProfile>& profiles,
                                        const std::vector<ShapeSpec>& specs) {
  SymbolValues symbols;
  std::map<std::string, Shape> given;
  for (const ShapeSpec& spec : specs) {
    const auto v = std::find_if(g.inputs.begin(), g.inputs.end(), [&](ValueId i) { return g.value(i).name == spec.input; });
    std::vector<std::string> names;
    for (ValueId i : g.inputs) names.push_back(g.value(i).name);
    if (v == g.inputs.end())
      return invalid_argument("--shape: there is no input '", escape(spec.input), "'; there are: ", escape(join(names, ", ")));
    if (given.contains(spec.input)) continue;  // the first belongs to the first profile
    Shape shape;
    for (const DimRange& r : spec.dims) shape.push_back(r.opt);
    TRY(symbols.match(g.info(*v), shape).with_prefix(cat("--shape: input '", escape(spec.input), "': ")));
    given[spec.input] = shape;
  }
  OptimizationProfile chosen = profiles.empty() ? OptimizationProfile() : profiles[0];
  std::vector<Shape> out;
  for (ValueId v : g.inputs) {
    if (auto it = given.find(g.value(v).name); it != given.end()) {
      out.push_back(it->second);
      continue;
    }
    Shape shape;
    for (const Dim& d : g.info(v).shape)
      shape.push_back(d.eval([&](const std::string& s) -> std::optional<int64_t> {
                         if (auto n = symbols.find(s)) return n;
                         auto it = chosen.dims.find(s);
                         return it == chosen.dims.end() ? 1 : it->second.opt;
                       }).value_or(1));
    out.push_back(shape);
  }
  return out;
}

Result<std::vector<Tensor>> random_inputs(const Graph& g, const std::vector<Shape>& shapes, int64_t seed) {
  std::vector<Tensor> out;
  for (size_t i = 0; i < shapes.size(); ++i) {
    auto t = random_input(g.info(g.inputs[i]).dtype, shapes[i], uint64_t(seed) * 1000003 + i + 1);
    if (!t.ok()) return t.status().with_prefix(cat("input '", escape(g.value(g.inputs[i]).name), "': "));
    out.push_back(std::move(t).value());
  }
  return out;
}

static Result<std::map<std::string, Tensor>> input_files(const Options& o, const Graph& g) {
  std::map<std::string, Tensor> out;
  std::vector<std::string> names;
  for (ValueId v : g.inputs) names.push_back(g.value(v).name);
  for (const std::string& text : o.texts("input")) {
    const size_t equals = text.rfind('=');
    if (equals == text.npos || equals == 0)
      return Status(Code::invalid_argument, cat("--input: '", escape(text), "' names no file"), "--input NAME=FILE.npy");
    const std::string name = text.substr(0, equals);
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) {
      const std::string near = nearest(name, names);
      return invalid_argument("the model has no input '", escape(name), "'; it has: ", escape(join(names, ", ")),
                              near.empty() ? "" : cat(" (did you mean '", escape(near), "'?)"));
    }
    if (out.contains(name)) return invalid_argument("--input: '", escape(name), "' is given twice");
    const DType wanted = g.info(g.inputs[size_t(at - names.begin())]).dtype;
    if (!npy_holds(wanted))
      return invalid_argument("input '", escape(name), "' is ", tenon::name(wanted), ", which a .npy file cannot hold; only --random data can be given");
    out[name] = TRY(read_npy(text.substr(equals + 1)));
  }
  return out;
}

Result<std::vector<Tensor>> given_inputs(const Options& o, const Graph& g, const std::vector<OptimizationProfile>& profiles, bool fill) {
  const std::map<std::string, Tensor> files = TRY(input_files(o, g));
  std::vector<ShapeSpec> specs = TRY(shape_specs(o));
  std::vector<std::string> missing;
  for (ValueId v : g.inputs)
    if (!files.contains(g.value(v).name)) missing.push_back(g.value(v).name);
  if (!fill && !missing.empty())
    return Status(Code::invalid_argument, cat("no data for input", missing.size() > 1 ? "s '" : " '", escape(join(missing, "', '")), "'"),
                  cat("--input ", escape(missing[0]), "=FILE.npy, or --random"));
  // Files fix the symbols that other, random inputs share with them.
  for (const auto& [name, t] : files) {
    ShapeSpec spec{name, {}};
    for (int64_t d : t.shape()) spec.dims.push_back({d, d, d});
    std::erase_if(specs, [&, &name = name](const ShapeSpec& s) { return s.input == name; });
    specs.push_back(spec);
  }
  auto shapes = input_shapes(g, profiles, specs);
  if (!shapes.ok()) {  // the user gave files, no --shape
    const std::string& m = shapes.status().message();
    return Status(Code::invalid_argument, !o.has("shape") && starts_with(m, "--shape: ") ? m.substr(9) : m);
  }
  std::vector<Tensor> out = TRY(random_inputs(g, *shapes, o.integer("seed")));
  for (size_t i = 0; i < out.size(); ++i)
    if (auto it = files.find(g.value(g.inputs[i]).name); it != files.end()) out[i] = it->second;
  return out;
}

std::string show_op(const Node& node) {
  if (node.op->domain == "tenon")
    for (const auto& [name, value] : node.attrs)
      if (const auto* body = std::get_if<GraphPtr>(&value); body && *body) {
        std::vector<std::string> ops;
        for (const Node& inner : (*body)->nodes) ops.push_back(show_op(inner));
        if (ops.size() > 6) ops = {ops[0], ops[1], ops[2], cat(ops.size() - 3, " more")};
        return join(ops, "+");
      }
  return node.op->name;
}

std::string show_type(const ValueInfo& info) {
  return cat(name(info.dtype), info.ranked ? to_string(info.shape) : std::string("[*]"));
}

std::string show_tensor(const Tensor& t) { return cat(name(t.dtype()), t.shape()); }

int64_t batch_of(const std::vector<Tensor>& inputs) {
  return inputs.empty() || inputs[0].rank() == 0 ? 1 : inputs[0].dim(0);
}

std::string device_text(const LoadedEngine& engine) { return engine.device().description(); }

std::map<std::string, int> kernel_families(const Graph& g, const std::vector<StepPlan>& steps) {
  std::map<std::string, int> out;
  for (size_t n = 0; n < steps.size(); ++n) {
    const StepKind kind = step_kind(g.nodes[n]);
    if (kind == StepKind::view) ++out["view"];
    if (kind == StepKind::copy) ++out["copy to " + g.nodes[n].attrs.s("to")];
    if (kind == StepKind::kernel) ++out[steps[n].image.kernel.substr(0, steps[n].image.kernel.find('.'))];
    for (const auto& [attr, body] : steps[n].bodies)
      if (GraphPtr inner = g.nodes[n].attrs.graph(attr))
        for (const auto& [family, count] : kernel_families(*inner, body)) out[family] += count;
  }
  return out;
}

}  // namespace tenon::cli
