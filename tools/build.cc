// tenon build: an ONNX model in, an engine file out.
#include <chrono>
#include <optional>

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
  o.add(Option{"effort", 0, Kind::integer, "0..5", "how much is measured; 0: nothing, the default where the device is absent", "2", false, false, {}, 0, kMostEffort});
  o.add(Option{"budget", 0, Kind::duration, "TIME", "most time for measuring", "60s", false, true});
  o.add(Option{"tuning-db", 0, Kind::text, "FILE", "measurements to use and to add to; default: tuning.txt in the cache folder", "", false, true});
  const char* data = "this version builds from the model alone, without calibration or evaluation data";
  for (const char* name : {"calib", "calib-method", "eval", "max-drop", "max-error"})
    o.add(Option{name, 0, Kind::text, "VALUE", "", "", true, true, {}, 0, 0, data});
}

namespace {
// What the engine shows on the device itself, where that is here.
struct Trial {
  bool loaded = false;
  int64_t workspace = 0;         // most over the profiles: intermediate tensors and the kernels' scratch
  std::optional<double> golden;  // largest difference from the references
};
}  // namespace

static std::vector<Shape> profile_shapes(const Graph& g, const OptimizationProfile& profile) {
  OptimizationProfile at = profile;
  if (has_maximum(profile))
    for (auto& [symbol, range] : at.dims) range.opt = range.max;
  return optimum_shapes(g, at);
}

static Result<Trial> try_engine(const EngineContent& content, const std::vector<uint8_t>& bytes, int ordinal) {
  Trial out;
  auto engine = LoadedEngine::load_bytes(bytes, nullptr, {ordinal, false});
  if (engine.status().code() == Code::incompatible || engine.status().code() == Code::unavailable) return out;  // for another machine
  auto context = TRY(Context::create(TRY(engine), {1, 0}));
  out.loaded = true;
  for (const OptimizationProfile& p : content.profiles) {
    TRY(context->executor().prepare(profile_shapes(content.graph, p)));
    out.workspace = std::max(out.workspace, context->executor().planned_peak());
  }
  if (content.golden.outputs.empty()) return out;
  std::vector<Tensor> outputs;
  TRY(context->run(content.golden.inputs, outputs));
  out.golden = 0;
  for (size_t i = 0; i < outputs.size(); ++i) out.golden = std::max(*out.golden, compare_tensors(outputs[i], content.golden.outputs[i]).relative);
  return out;
}

// Intermediate tensors in the device's memory, as planned without one, the most over the profiles.
static MemoryFigures intermediates(const EngineContent& c) {
  MemoryFigures most;
  for (const OptimizationProfile& p : c.profiles) {
    const MemoryFigures m = plan_workspace(c.graph, c.steps, c.target, p, has_maximum(p));
    if (m.peak >= most.peak) most = m;
  }
  return most;
}

static Status check_workspace(int64_t need, int64_t limit) {
  if (limit == 0 || need <= limit) return {};
  return Status(Code::no_kernel, cat("the plan needs ", human_bytes(uint64_t(need)), " of workspace, --workspace allows ", human_bytes(uint64_t(limit))),
                "a larger --workspace, or smaller shapes with --shape");
}

static ordered_json tuning_json(const TuneReport& t) {
  return {{"effort", t.effort}, {"device", t.device}, {"database", t.database}, {"choices", t.choices}, {"known", t.known},
          {"measured", t.measured}, {"over_budget", t.over_budget}, {"unsized", t.unsized}, {"seconds", t.seconds}};
}

// "14 kernels with a choice: 10 measured, 3 known, 1 by the cost model (its sizes are free: --shape) in 2.1 s"
static std::string show_tuning(const TuneReport& t) {
  std::vector<std::string> parts;
  const auto add = [&](int64_t n, const char* how) {
    if (n) parts.push_back(cat(n, how));
  };
  add(t.measured, " measured");
  add(t.known, " known");
  add(t.over_budget, " over the --budget");
  add(t.unsized, " by the cost model, as nobody gave their sizes (--shape)");
  add(t.choices - t.measured - t.known - t.over_budget - t.unsized, " by the cost model");
  return cat("effort ", t.effort, ", ", counted(t.choices, "kernel"), " with a choice: ", join(parts, ", "), "; ", fixed(t.seconds, 2), " s");
}

static std::string summary(const BuildResult& r, const std::string& path, double seconds, const Trial& trial) {
  const EngineContent& c = r.content;
  std::string kernels;
  for (const auto& [family, count] : kernel_families(c.graph, c.steps)) kernels += cat(kernels.empty() ? "" : ", ", count, " ", family);
  const MemoryFigures memory = intermediates(c);
  std::string out = cat(path, ": ", c.target, ", ", c.precision, ", ", human_bytes(r.bytes.size()), ", built in ", fixed(seconds, 2), " s\n",
                        "  kernels    ", kernels.empty() ? "none" : kernels, "\n");
  if (r.tuning.choices) out += cat("  tuning     ", show_tuning(r.tuning), "\n");
  out += "  workspace  ";
  if (trial.loaded) out += cat(human_bytes(uint64_t(trial.workspace)), ": ");
  out += cat("intermediate tensors ", human_bytes(uint64_t(memory.peak)), " (lower bound ", human_bytes(uint64_t(memory.lower_bound)), ")",
             trial.loaded ? ", the rest scratch" : "", "\n");
  if (trial.golden) out += cat("  golden     outputs differ by ", scientific(*trial.golden), " of their largest magnitude from the references\n");
  const KeptSummary kept = summarize_kept(c.report);
  if (!kept.nodes.empty()) out += cat("  ", counted(int64_t(kept.nodes.size()), "node"), " kept in fp32:\n");
  for (const std::string& line : kept.lines) out += cat("    ", line, "\n");
  if (starts_with(kept.observed, "none")) out += cat("  ranges     not observed, ", kept.observed.substr(6), "\n");
  if (!kept.rounding.empty()) out += cat("  rounding   ", kept.rounding, "\n");
  const size_t fallbacks = list_fallbacks(c).size();
  if (fallbacks) out += cat("  ", counted(int64_t(fallbacks), "node"), " without a kernel of the device:\n");
  for (const std::string& f : summarize_fallbacks(c)) out += cat("    ", f, "\n");
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
  j["tuning"] = tuning_json(r.tuning);
  return j;
}

static Status read_tuning(const Options& o, BuildChoice& choice) {
  TuneOptions& t = choice.options.tuning;
  t.effort = o.has("effort") ? int(o.integer("effort")) : kAutoEffort;
  t.budget = o.seconds("budget");
  t.database = o.text("tuning-db");
  t.ordinal = choice.ordinal;
  if (o.has("tuning-db") && t.database.empty()) return Status(Code::invalid_argument, "--tuning-db names no file", "--tuning-db tuning.txt");
  if (t.effort == 0 && (o.has("budget") || o.has("tuning-db")))
    return Status(Code::invalid_argument, cat("--", o.has("budget") ? "budget" : "tuning-db", " has no effect with --effort 0"), "--effort 2");
  return {};
}

static Result<BuildResult> build(const std::string& model, BuildOptions options) {
  Progress progress;
  // While it measures, Ctrl-C waits until the measurements are saved.
  std::optional<HoldInterrupt> hold;
  std::string note;
  options.on_tune = [&](const TuneProgress& p) {
    note = cat(fixed(p.seconds_left, 0), " s left, ", p.known, " known");
    if (!hold) hold.emplace();
  };
  return compile_file(model, options, [&](const char* stage, int64_t done, int64_t total) {
    const bool tuning = std::string_view(stage) == "tune";
    if (!tuning) hold.reset();
    progress.update(stage, done, total, tuning ? note : "");
    detail(stage, total > 0 ? cat(" ", done, " of ", total) : std::string(), tuning ? cat(", ", note) : std::string());
    return !interrupted();
  });
}

static Result<int> run(const Options& o) {
  const std::string model = o.argument(0), path = o.text("output");
  if (path.empty()) return Status(Code::invalid_argument, "-o is missing: where the engine goes", cat("tenon build ", model, " -o MODEL.engine"));
  BuildChoice choice = TRY(build_choice(o));
  TRY(read_tuning(o, choice));
  TRY(open_file(model));

  const auto begin = std::chrono::steady_clock::now();
  auto built = build(model, choice.options);
  if (!built.ok()) return built.status();
  for (const std::string& c : built->tuning.complaints) warn(c);
  const auto tried = try_engine(built->content, built->bytes, choice.ordinal);
  if (!tried.ok()) warn(cat("the engine does not run on this machine: ", tried.status().message()));
  const Trial trial = tried.ok() ? *tried : Trial();
  TRY(check_workspace(trial.loaded ? trial.workspace : intermediates(built->content).peak, o.bytes("workspace")));
  if (trial.golden && !(*trial.golden <= kTolerance))
    warn(cat("the golden outputs differ by ", scientific(*trial.golden), " of their largest magnitude; `tenon compare ", model, " --per-layer` shows where"));
  TRY(save_file(path, std::span<const uint8_t>(built->bytes)));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  ordered_json j = explanation(*built, model, path, seconds);
  j["golden_difference"] = trial.golden ? ordered_json(*trial.golden) : ordered_json(nullptr);
  if (trial.loaded) j["memory"]["workspace"] = trial.workspace;
  if (o.has("explain")) TRY(save_file(o.text("explain"), json_text(j)));
  if (o.has("json")) {
    j["schema"] = "tenon.build/1";
    for (const char* longish : {"nodes", "passes"}) j.erase(longish);
    print_json(j);
  }
  for (const auto& p : built->passes.passes) detail("pass ", p.name, ": ", p.nodes_before, " to ", counted(int64_t(p.nodes_after), "node"), ", ", fixed(p.seconds * 1e3, 1), " ms");
  note(summary(*built, path, seconds, trial));
  return int(kOk);
}

extern const Command build_command = {
    "build", "compile an ONNX model into an engine",
    "tenon build model.onnx -o model.engine\n"
    "tenon build model.onnx -o model.engine --shape image:1..8..64x3x224x224\n"
    "tenon build model.onnx -o model.engine --device cuda --effort 4 --budget 2m\n"
    "tenon build model.onnx -o model.engine --explain report.json",
    declare, run};

}  // namespace tenon::cli
