#include "compiler/compile.h"

#include <xxhash.h>

#include <algorithm>

#include "base/memory_limit.h"
#include "compiler/golden.h"
#include "compiler/report.h"
#include "engine/engine_file.h"
#include "lowering/lower.h"
#include "passes/precision/float_needs.h"

namespace tenon {

static std::string hash_of(std::span<const uint8_t> bytes) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(XXH3_64bits(bytes.data(), bytes.size())));
  return text;
}

static bool any_pinned(const Graph& g, const std::string& pattern) {
  for (const Node& node : g.nodes) {
    if (is_pinned(g, node, pattern)) return true;
    for (const auto& [name, value] : node.attrs)
      if (const auto* body = std::get_if<GraphPtr>(&value); body && *body && any_pinned(**body, pattern)) return true;
  }
  return false;
}

static Status add_pins(const Graph& g, const BuildOptions& options, PassOptions& passes) {
  for (const std::string& pin : options.pins) {
    const size_t equals = pin.rfind('=');
    const std::string pattern = pin.substr(0, equals), type = equals == pin.npos ? "" : pin.substr(equals + 1);
    if (pattern.empty() || type.empty() || (type != "fp32" && type != options.precision))
      return Status(Code::invalid_argument, cat("--pin: '", escape(pin), "' is neither GLOB=fp32 nor GLOB=", options.precision, ", the precision of this build"),
                    "--pin 'Softmax*=fp32'");
    if (!any_pinned(g, pattern))
      return Status(Code::invalid_argument, cat("--pin: no node, operator or value is called '", escape(pattern), "'"), "tenon inspect MODEL.onnx --layers");
    (type == "fp32" ? passes.pin_fp32 : passes.pin_low).push_back(pattern);
  }
  return {};
}

Result<BuildResult> compile_model(onnx::ImportedModel model, const std::string& hash, const BuildOptions& options,
                                  const Progress& progress) {
  const Status stopped(Code::cancelled, "the build was interrupted; nothing was written");
  auto report = [&](const char* stage, int64_t done, int64_t total) { return !progress || progress(stage, done, total); };
  const TuneWatch watch = [&](const TuneProgress& p) {
    if (options.on_tune) options.on_tune(p);
    return report("tune", p.done, p.total);
  };
  const Compilers compilers = TRY(create_compilers(options.device, options.target));
  TRY(compilers[0]->ready());
  const std::vector<std::string> precisions = compilers[0]->precisions();
  if (std::find(precisions.begin(), precisions.end(), options.precision) == precisions.end())
    return Status(Code::invalid_argument, cat("precision '", escape(options.precision), "' is not built yet for ", compilers[0]->target(), "; there is: ", join(precisions, ", ")),
                  "--precision fp32");
  PassOptions passes = options.passes;
  passes.precision = options.precision;
  TRY(add_pins(model.graph, options, passes));

  // Shapes, then passes, then kernels.
  BuildResult out;
  EngineContent& engine = out.content;
  TRY(apply_io_types(model.graph, options.io_types));
  engine.profiles = TRY(apply_shapes(model.graph, options.shapes));
  const bool tf32 = options.precision == "tf32";
  passes.has_kernel = [&](const Graph& g, const Node& node) { return compilers[0]->supports({g, node, tf32}).yes; };
  passes.observe = [&](const Graph& g) { return observe_golden(g, engine.profiles[0], out.passes.observed); };
  passes.rounding = [&](const Graph& g, const std::vector<Rounds>& candidates) {
    return round_golden(g, options.precision, candidates, engine.profiles[0], out.passes.rounding);
  };
  passes.kept = [&](const KeptFloat& kept) { out.passes.kept.push_back(kept); };
  if (!report("optimise", 0, 0)) return stopped;
  Graph optimized = TRY(optimize(model.graph, passes, &out.passes));
  LowerOptions lowering;
  lowering.progress = [&](int64_t done, int64_t total) { return report("kernels", done, total); };
  lowering.tf32 = tf32;
  lowering.profile = &engine.profiles[0];
  lowering.choose = [&](std::vector<KernelJob>& jobs) { return tune(jobs, options.tuning, out.tuning, watch); };
  Lowered lowered = TRY(lower(std::move(optimized), compilers, lowering));
  engine.graph = std::move(lowered.graph);
  engine.steps = std::move(lowered.steps);

  // Evidence, then bytes.
  if (!report("golden", 0, 0)) return stopped;
  if (options.golden) engine.golden = make_golden(model.graph, engine.profiles[0]);
  engine.target = compilers[0]->target();
  engine.precision = options.precision;
  engine.model_name = options.model_name;
  engine.producer = model.producer;
  engine.opset = model.opset;
  engine.metadata = std::move(model.metadata);
  engine.model_hash = hash;
  engine.report = make_report(engine, out.passes);
  if (!report("write", 0, 0)) return stopped;
  out.bytes = TRY(serialize_engine(engine));
  return out;
}

Result<BuildResult> compile_bytes(std::span<const uint8_t> bytes, const std::string& folder, const BuildOptions& options,
                                  const Progress& progress) {
  if (progress) progress("parse", 0, 0);
  auto model = TRY(onnx::import_bytes(bytes, nullptr, folder));
  return catch_bad_alloc([&] { return compile_model(std::move(model), hash_of(bytes), options, progress); });
}

Result<BuildResult> compile_file(const std::string& path, const BuildOptions& options, const Progress& progress) {
  if (progress) progress("parse", 0, 0);
  auto model = TRY(onnx::import_file(path));
  auto file = TRY(MappedFile::open(path));
  BuildOptions named = options;
  if (named.model_name.empty()) {
    named.model_name = path.substr(path.rfind('/') + 1);
    if (size_t dot = named.model_name.rfind('.'); dot != std::string::npos) named.model_name.resize(dot);
  }
  return catch_bad_alloc([&] { return compile_model(std::move(model), hash_of(file->bytes()), named, progress); });
}

}  // namespace tenon
