// tenon build: an ONNX model in, an engine file out.
#include <chrono>

#include "compiler/memory.h"
#include "compiler/report.h"
#include "difference.h"
#include "json.h"
#include "model.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL.onnx", "the model"});
  o.add(Option{"output", 'o', Kind::text, "FILE.engine", "where the engine goes"});
  declare_build_options(o);
  declare_context_options(o);
  o.add(Option{"explain", 0, Kind::text, "FILE.json", "what became of each node, and why"});
  o.add(Option{"effort", 0, Kind::integer, "0", "0 measures nothing", "0", false, true, {}, 0, 5});
  const char* data = "this version builds from the model alone, without calibration or evaluation data";
  const char* tuning = "this version measures nothing while it builds";
  for (const char* name : {"calib", "calib-method", "eval", "max-drop", "max-error", "pin"})
    o.add(Option{name, 0, Kind::text, "VALUE", "", "", true, true, {}, 0, 0, data});
  for (const char* name : {"budget", "tuning-db"}) o.add(Option{name, 0, Kind::text, "VALUE", "", "", true, true, {}, 0, 0, tuning});
}

// The golden outputs on the device itself, where there are some and the device is here: the largest difference.
static std::optional<double> self_check(const EngineContent& content, const std::vector<uint8_t>& bytes, int ordinal) {
  if (content.golden.outputs.empty()) return std::nullopt;
  auto engine = LoadedEngine::load_bytes(bytes, nullptr, {ordinal, false});
  if (!engine.ok()) return std::nullopt;  // built for another machine
  auto context = Context::create(*engine, {1, 0});
  std::vector<Tensor> outputs;
  if (!context.ok()) return std::nullopt;
  if (const Status s = (*context)->run(content.golden.inputs, outputs); !s.ok()) {
    warn(cat("the engine does not run its golden inputs: ", s.message()));
    return std::nullopt;
  }
  double worst = 0;
  for (size_t i = 0; i < outputs.size(); ++i) worst = std::max(worst, compare_tensors(outputs[i], content.golden.outputs[i]).relative);
  return worst;
}

static Status check_workspace(const EngineContent& c, int64_t limit) {
  if (limit == 0) return {};
  for (const OptimizationProfile& p : c.profiles) {
    const int64_t peak = plan_intermediates(c.graph, p, has_maximum(p)).peak;
    if (peak > limit)
      return Status(Code::no_kernel, cat("the plan needs ", human_bytes(uint64_t(peak)), " of workspace for intermediate tensors, --workspace allows ",
                                         human_bytes(uint64_t(limit))),
                    "a larger --workspace, or smaller shapes with --shape");
  }
  return {};
}

static std::string summary(const BuildResult& r, const std::string& path, double seconds, std::optional<double> golden) {
  const EngineContent& c = r.content;
  std::string kernels;
  for (const auto& [family, count] : kernel_families(c.graph, c.steps)) kernels += cat(kernels.empty() ? "" : ", ", count, " ", family);
  const MemoryFigures memory = plan_intermediates(c.graph, c.profiles[0], false);
  std::string out = cat(path, ": ", c.target, ", ", c.precision, ", ", human_bytes(r.bytes.size()), ", built in ", fixed(seconds, 2), " s\n",
                        "  kernels    ", kernels.empty() ? "none" : kernels, "\n", "  workspace  ", human_bytes(uint64_t(memory.peak)),
                        " (no plan needs less than ", human_bytes(uint64_t(memory.lower_bound)), ")\n");
  if (golden) out += cat("  golden     outputs differ by ", scientific(*golden), " of their largest magnitude from the references\n");
  const std::vector<std::string> fallbacks = list_fallbacks(c);
  if (!fallbacks.empty()) out += cat("  ", fallbacks.size(), fallbacks.size() == 1 ? " node" : " nodes", " without a kernel of the device, run by the reference:\n");
  for (const std::string& f : fallbacks) out += cat("    ", f, "\n");
  out.pop_back();
  return out;
}

static ordered_json explanation(const BuildResult& r, const std::string& model, const std::string& path, double seconds) {
  ordered_json j = ordered_json::parse(r.content.report, nullptr, false);
  j["model"] = model;
  j["engine"] = path;
  j["engine_bytes"] = r.bytes.size();
  j["seconds"] = seconds;
  for (size_t i = 0; i < r.passes.passes.size() && i < j["passes"].size(); ++i) j["passes"][i]["seconds"] = r.passes.passes[i].seconds;
  j["kernels"] = kernel_families(r.content.graph, r.content.steps);
  j["fallbacks"] = list_fallbacks(r.content);
  return j;
}

static Result<int> run(const Options& o) {
  const std::string model = o.argument(0), path = o.text("output");
  if (path.empty()) return Status(Code::invalid_argument, "-o is missing: where the engine goes", cat("tenon build ", model, " -o MODEL.engine"));
  if (o.integer("effort") > 0)
    return Status(Code::invalid_argument, cat("--effort ", o.integer("effort"), " is not there yet: this version measures nothing while it builds"), "--effort 0");
  const BuildChoice choice = TRY(build_choice(o));
  TRY(open_file(model));

  const auto begin = std::chrono::steady_clock::now();
  auto built = [&] {
    Progress progress;
    return compile_file(model, choice.options, [&](const char* stage, int64_t done, int64_t total) {
      progress.update(stage, done, total);
      detail(stage, total > 0 ? cat(" ", done, " of ", total) : std::string());
      return true;
    });
  }();
  if (!built.ok()) return built.status();
  TRY(check_workspace(built->content, o.bytes("workspace")));
  const std::optional<double> golden = self_check(built->content, built->bytes, choice.ordinal);
  if (golden && !(*golden <= kTolerance))
    warn(cat("the golden outputs differ by ", scientific(*golden), " of their largest magnitude; `tenon compare ", model, " --per-layer` shows where"));
  TRY(save_file(path, std::span<const uint8_t>(built->bytes)));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  ordered_json j = explanation(*built, model, path, seconds);
  j["golden_difference"] = golden ? ordered_json(*golden) : ordered_json(nullptr);
  if (o.has("explain")) TRY(save_file(o.text("explain"), json_text(j)));
  if (o.has("json")) {
    j["schema"] = "tenon.build/1";
    for (const char* longish : {"nodes", "passes"}) j.erase(longish);
    print_json(j);
  }
  for (const auto& p : built->passes.passes) detail("pass ", p.name, ": ", p.nodes_before, " to ", p.nodes_after, " nodes, ", fixed(p.seconds * 1e3, 1), " ms");
  note(summary(*built, path, seconds, golden));
  return int(kOk);
}

extern const Command build_command = {
    "build", "compile an ONNX model into an engine",
    "tenon build model.onnx -o model.engine\n"
    "tenon build model.onnx -o model.engine --shape image:1..8..64x3x224x224\n"
    "tenon build model.onnx -o model.engine --explain report.json",
    declare, run};

}  // namespace tenon::cli
