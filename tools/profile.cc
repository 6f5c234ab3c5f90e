// tenon profile: where the time of a run goes, step by step, with the ONNX nodes that each step does, and what the device
// could do at most (docs/profiling.md).
#include <algorithm>
#include <chrono>

#include "engine/step_kind.h"
#include "json.h"
#include "model.h"
#include "roofline.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL", "an engine, or an ONNX model, which is built in memory first"});
  o.add(Option{"iterations", 0, Kind::integer, "N", "runs to average over", "20", false, false, {}, 1, 1000000});
  o.add(Option{"top", 0, Kind::integer, "N", "show the slowest N steps; 0: all, in their order", "0", false, false, {}, 0, 1000000});
  o.add(Option{"by", 0, Kind::text, "WHAT", "a line for each step, or one for all steps of a kernel or an operator", "step", false, false, {"step", "kernel", "op"}});
  o.add(Option{"trace", 0, Kind::text, "FILE.json", "one run as a trace for chrome://tracing or Perfetto"});
  declare_context_options(o);
  declare_build_options(o);
  o.add(Option{"input", 0, Kind::text, "NAME=FILE.npy", "data of an input; others are random", "", true, true});
  o.add(Option{"seed", 0, Kind::integer, "N", "of the random data", "0", false, true});
}

namespace {

// What is shown in one line: a step over all its runs, or all steps of a kernel or an operator.
struct Row {
  std::string label, op, kernel, output;
  std::vector<std::string> origins;
  std::string name;
  int depth = 0;
  bool on_device = false, fallback = false;
  int64_t calls = 0;
  double seconds = 0, least = 1e30;
  Work work;
  double bound = 0, judged = 0;  // the least time that the peaks allow; the part of `seconds` of which that is known
  std::map<std::string, double> bound_by;

  std::string by() const {
    std::string most;
    for (const auto& [what, seconds] : bound_by)
      if (most.empty() || seconds > bound_by.at(most)) most = what;
    return most;
  }
  double of_peak() const { return judged > 0 ? bound / judged : 0; }
};

// The steps of an engine, with what the trace and the table say of each.
class Profile {
 public:
  Profile(const LoadedEngine& engine, const Peaks& peaks) : engine_(engine), peaks_(peaks), tf32_(engine.content().precision == "tf32") {
    index(engine.graph(), engine.content().steps, engine.plan());
  }

  // A row without times.
  Row describe_step(const StepTime& s) const {
    Row r;
    r.depth = s.depth;
    r.on_device = s.on_device;
    if (!s.node) {
      r.label = r.op = "outputs", r.kernel = "copy to host";
      return r;
    }
    const auto it = known_.find(s.node);
    const StepPlan* plan = it == known_.end() ? nullptr : it->second.first;
    r.name = s.node->name;
    r.op = s.node->op->name;
    r.label = show_op(*s.node);
    r.origins = s.node->origins;
    r.kernel = step_kind(*s.node) == StepKind::copy ? "copy to " + s.node->attrs.s("to") : plan && !plan->image.kernel.empty() ? plan->image.kernel : "host";
    r.fallback = plan && plan->fallback;
    if (it != known_.end() && !s.node->outputs.empty() && s.node->outputs[0] != kNoValue) r.output = show_type(it->second.second->info(s.node->outputs[0]));
    return r;
  }

  // Adds one run of a step.
  Status add(Row& r, const StepTime& s) {
    ++r.calls;
    r.seconds += s.seconds;
    r.least = std::min(r.least, s.seconds);
    if (!s.node || step_kind(*s.node) == StepKind::copy) return {};
    const Work w = TRY(work(s));
    r.work.flops.products += w.flops.products;
    r.work.flops.other += w.flops.other;
    r.work.bytes += w.bytes;
    // The peaks are those of the engine's own device.
    if (engine_.plan().split && !s.on_device) return {};
    const Roofline roof = roofline(w, peaks_, tf32_ && !w.exact);
    if (roof.seconds <= 0) return {};
    r.bound += roof.seconds;
    r.judged += s.seconds;
    r.bound_by[roof.by] += roof.seconds;
    return {};
  }

 private:
  void index(const Graph& g, const std::vector<StepPlan>& steps, const LoadedPlan& plan) {
    for (size_t n = 0; n < steps.size(); ++n) {
      known_[&g.nodes[n]] = {&steps[n], &g};
      for (const auto& [attr, body] : steps[n].bodies)
        for (const auto& [name, loaded] : plan.steps[n].bodies)
          if (name == attr) index(loaded->graph, body, *loaded);
    }
  }
  Result<Work> work(const StepTime& s) {
    auto& [in, out, w] = works_[s.node];
    if (in != s.in || out != s.out) {
      w = TRY(work_of(*s.node, s.in, s.out));
      in = s.in, out = s.out;
    }
    return w;
  }

  const LoadedEngine& engine_;
  const Peaks& peaks_;
  const bool tf32_;
  std::map<const Node*, std::pair<const StepPlan*, const Graph*>> known_;
  std::map<const Node*, std::tuple<std::vector<Operand>, std::vector<Operand>, Work>> works_;  // at the sizes last seen
};

}  // namespace

static ordered_json roofline_json(const Row& r) {
  return {{"products_flop", r.work.flops.products}, {"other_flop", r.work.flops.other}, {"bytes", r.work.bytes},
          {"bound_ms", r.bound * 1e3}, {"bound_by", r.by()}, {"of_peak", r.judged > 0 ? ordered_json(r.of_peak()) : ordered_json(nullptr)}};
}

// One run. The host and the device have a track each.
static Result<ordered_json> trace(const std::vector<StepTime>& run, Profile& profile, const std::string& device) {
  constexpr int kHost = 1, kDevice = 2;
  ordered_json events = ordered_json::array();
  const auto name_track = [&](int track, const std::string& name) {
    events.push_back({{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", name}}}});
  };
  name_track(kHost, "host");
  if (std::any_of(run.begin(), run.end(), [](const StepTime& s) { return s.on_device; })) name_track(kDevice, device);
  double zero = 1e300;
  for (const StepTime& s : run) zero = std::min(zero, s.begin);
  for (const StepTime& s : run) {
    Row r = profile.describe_step(s);
    TRY(profile.add(r, s));
    ordered_json args = {{"kernel", r.kernel}, {"origins", r.origins}, {"output", r.output}};
    args.update(roofline_json(r));
    events.push_back({{"name", s.node ? describe(*s.node) : r.label}, {"cat", r.op}, {"ph", "X"}, {"ts", (s.begin - zero) * 1e6}, {"dur", s.seconds * 1e6},
                      {"pid", 1}, {"tid", s.on_device ? kDevice : kHost}, {"args", args}});
  }
  return ordered_json{{"displayTimeUnit", "ms"}, {"traceEvents", events}};
}

// Steps in their order, or groups of them, the longest first.
static Result<std::vector<Row>> rows_of(const std::vector<StepTime>& times, Profile& profile, const std::string& by) {
  std::vector<Row> rows;
  std::map<const Node*, size_t> at_node;
  std::map<std::string, size_t> at_name;
  for (const StepTime& s : times) {
    if (by != "step" && s.depth > 0) continue;  // within the time of the step around it
    const auto known = at_node.find(s.node);
    size_t at = known == at_node.end() ? rows.size() : known->second;
    if (known == at_node.end()) {
      Row r = profile.describe_step(s);
      const std::string name = by == "op" ? r.label : r.kernel;
      if (by != "step") at = at_name.try_emplace(name, rows.size()).first->second;
      at_node[s.node] = at;
      if (at == rows.size()) {
        if (by != "step") {
          Row group;
          group.label = name;
          group.on_device = r.on_device;
          r = group;
        }
        rows.push_back(std::move(r));
      }
    }
    TRY(profile.add(rows[at], s));
  }
  if (by != "step") std::stable_sort(rows.begin(), rows.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
  return rows;
}

static std::string percent(double share) { return cat(fixed(share * 100, share < 0.0995 ? 1 : 0), "%"); }

static Result<int> run(const Options& o) {
  const OpenModel model = TRY(open_model(o, o.argument(0)));
  const LoadedEngine& engine = *model.engine;
  const std::vector<Tensor> inputs = TRY(given_inputs(o, engine.graph(), engine.content().profiles, true));
  auto context = TRY(Context::create(model.engine, context_options(o)));
  Executor& executor = context->executor();
  const bool far = engine.plan().split;
  std::unique_ptr<Stream> idle = TRY(engine.device().create_stream(context->threads()));
  const Peaks peaks = TRY(engine.device().peaks(*idle));
  idle.reset();
  std::vector<Tensor> outputs;
  for (int warm = 0; warm < 3; ++warm) TRY(context->run(inputs, outputs));

  // Whole runs without the profiler first: how long a run really takes.
  const int64_t iterations = o.integer("iterations");
  auto timed_runs = [&](std::vector<StepTime>* times) -> Result<double> {
    executor.set_profile(times);
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < iterations; ++i) TRY(context->run(inputs, outputs));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / double(iterations);
  };
  const double plain = TRY(timed_runs(nullptr));
  const bool replayed = executor.replayed();
  std::vector<StepTime> times, one_run;
  const double profiled = TRY(timed_runs(&times));
  executor.set_profile(&one_run);
  TRY(context->run(inputs, outputs));
  executor.set_profile(nullptr);

  Profile profile(engine, peaks);
  if (o.has("trace")) TRY(save_file(o.text("trace"), json_text(TRY(trace(one_run, profile, engine.device().description())))));
  std::vector<Row> rows = TRY(rows_of(times, profile, o.text("by")));
  double all = 0, on_device = 0, bound = 0, judged = 0;
  for (const StepTime& s : times)
    if (s.depth == 0) all += s.seconds, on_device += s.on_device ? s.seconds : 0;
  for (const Row& r : rows) bound += r.bound, judged += r.judged;  // control flow itself is not judged, its bodies are
  const double per_run = 1 / double(iterations);
  all *= per_run, on_device *= per_run, bound *= per_run, judged *= per_run;
  const double gap = plain - all;
  if (const auto top = size_t(o.integer("top")); top > 0) {
    std::stable_sort(rows.begin(), rows.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
    rows.resize(std::min(rows.size(), top));
  }

  const bool by_step = o.text("by") == "step", judge = judged > 0;
  ordered_json steps = ordered_json::array();
  std::vector<std::string> heading = {">MS", ">%", ">CALLS", ">MFLOP", ">MB"};
  if (judge) heading.insert(heading.end(), {">OF PEAK", "BOUND BY"});
  if (by_step) heading.insert(heading.end(), {"STEP", "KERNEL", "OUTPUT", "ONNX NODES"});
  else heading.push_back(o.text("by") == "op" ? "OPERATOR" : "KERNEL");
  Table table(heading);
  for (const Row& r : rows) {
    const double ms = r.seconds * per_run * 1e3, share = all > 0 ? r.seconds * per_run / all : 0;
    std::vector<std::string> line = {fixed(ms, 4), fixed(share * 100, 1), cat(r.calls / iterations), fixed(r.work.flops.total() * per_run * 1e-6, 3),
                                     fixed(r.work.bytes * per_run * 1e-6, 3)};
    if (judge) line.insert(line.end(), {r.judged > 0 ? percent(r.of_peak()) : "", r.by()});
    std::string origins = join(r.origins, " + ");
    if (origins.size() > 100) origins = origins.substr(0, 97) + "...";
    line.push_back(std::string(size_t(r.depth) * 2, ' ') + r.label);
    if (by_step) line.insert(line.end(), {r.kernel + (r.fallback ? " (fallback)" : ""), r.output, escape(origins)});
    table.add(line);
    ordered_json j = by_step ? ordered_json{{"name", r.name}, {"op", r.op}, {"origins", r.origins}, {"kernel", r.kernel}, {"depth", r.depth}}
                             : ordered_json{{"name", r.label}};
    j.update({{"on_device", r.on_device}, {"calls_per_run", double(r.calls) * per_run}, {"mean_ms", ms}, {"min_ms", r.least * 1e3}, {"share", share}});
    Row once = r;
    once.work.flops.products *= per_run, once.work.flops.other *= per_run, once.work.bytes *= per_run, once.bound *= per_run, once.judged *= per_run;
    j.update(roofline_json(once));
    steps.push_back(std::move(j));
  }
  if (o.has("json")) {
    print_json({{"schema", "tenon.profile/1"}, {"model", o.argument(0)}, {"device", device_text(engine)}, {"threads", context->threads()},
                {"iterations", iterations}, {"by", o.text("by")}, {"run_ms", plain * 1e3}, {"replayed", replayed}, {"profiled_run_ms", profiled * 1e3},
                {"steps_ms", all * 1e3}, {"device_ms", on_device * 1e3}, {"gap_ms", gap * 1e3}, {"bound_ms", bound * 1e3},
                {"arena_bytes", executor.arena_bytes()},
                {"peaks", {{"source", peaks.source}, {"bytes", peaks.bytes}, {"arithmetic", peaks.arithmetic}, {"f64", peaks.f64}, {"f32", peaks.f32},
                           {"tf32", peaks.tf32}, {"f16", peaks.f16}, {"f8", peaks.f8}, {"i8", peaks.i8}}},
                {"steps", steps}});
    return int(kOk);
  }
  print_line(escape(o.argument(0)), " on ", device_text(engine), far ? "" : cat(", ", counted(context->threads(), "thread")), ": ", fixed(plain * 1e3, 4),
             " ms a run", replayed ? ", replayed as one recording" : "", ", workspace ", human_bytes(uint64_t(executor.arena_bytes())));
  print_line("  steps      ", fixed(all * 1e3, 4), " ms one by one", far ? cat(", ", fixed(on_device * 1e3, 4), " ms of it on the device") : "",
             "; a run of them takes ", fixed(profiled * 1e3, 4), " ms with the profiler");
  print_line("  gap        ", gap >= 0 ? cat(fixed(gap * 1e3, 4), " ms of a run in no step") : cat("none: one by one the steps take ", fixed(-gap * 1e3, 4), " ms more than a run"));
  if (judge) {
    print_line("  peaks      ", show_peaks(peaks));
    print_line("  at peak    ", fixed(bound * 1e3, 4), " ms for what takes ", fixed(judged * 1e3, 4), " ms: ", percent(bound / judged));
  }
  print_text(table.text("  "));
  return int(kOk);
}

extern const Command profile_command = {
    "profile", "show where the time of a run goes",
    "tenon profile model.engine --threads 1\n"
    "tenon profile model.engine --top 10\n"
    "tenon profile model.engine --by kernel\n"
    "tenon profile model.engine --trace trace.json",
    declare, run};

}  // namespace tenon::cli
