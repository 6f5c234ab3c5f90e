// tenon profile: where the time of a run goes, step by step, with the ONNX nodes that each step does.
#include <algorithm>
#include <chrono>

#include "json.h"
#include "model.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL", "an engine, or an ONNX model, which is built in memory first"});
  o.add(Option{"iterations", 0, Kind::integer, "N", "runs to average over", "20", false, false, {}, 1, 1000000});
  o.add(Option{"top", 0, Kind::integer, "N", "show the slowest N steps; 0: all, in their order", "0", false, false, {}, 0, 1000000});
  o.add(Option{"trace", 0, Kind::text, "FILE.json", "one run as a trace for chrome://tracing or Perfetto"});
  declare_context_options(o);
  declare_build_options(o);
  o.add(Option{"input", 0, Kind::text, "NAME=FILE.npy", "data of an input; others are random", "", true, true});
  o.add(Option{"seed", 0, Kind::integer, "N", "of the random data", "0", false, true});
}

namespace {
struct StepSum {
  const Node* node;
  int depth;
  int64_t calls = 0;
  double seconds = 0, least = 1e30;
};
}  // namespace

static void index_kernels(const Graph& g, const std::vector<StepPlan>& steps, std::map<const Node*, const StepPlan*>& out, const LoadedPlan& plan) {
  for (size_t n = 0; n < steps.size(); ++n) {
    out[&g.nodes[n]] = &steps[n];
    for (const auto& [attr, body] : steps[n].bodies)
      for (const auto& [name, loaded] : plan.steps[n].bodies)
        if (name == attr) index_kernels(loaded->graph, body, out, *loaded);
  }
}

static ordered_json trace(const std::vector<StepTime>& run, const std::map<const Node*, const StepPlan*>& kernels) {
  ordered_json events = ordered_json::array();
  double zero = 1e300;
  for (const StepTime& s : run) zero = std::min(zero, s.begin);
  for (const StepTime& s : run) {
    const auto it = kernels.find(s.node);
    events.push_back({{"name", describe(*s.node)}, {"cat", s.node->op->name}, {"ph", "X"}, {"ts", (s.begin - zero) * 1e6}, {"dur", s.seconds * 1e6},
                      {"pid", 1}, {"tid", 1},
                      {"args", {{"kernel", it == kernels.end() ? "" : it->second->image.kernel}, {"origins", s.node->origins}}}});
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
}

static Result<int> run(const Options& o) {
  const OpenModel model = TRY(open_model(o, o.argument(0)));
  const Graph& g = model.engine->graph();
  const std::vector<Tensor> inputs = TRY(given_inputs(o, g, model.engine->content().profiles, true));
  auto context = TRY(Context::create(model.engine, context_options(o)));
  std::vector<Tensor> outputs;
  for (int warm = 0; warm < 3; ++warm) TRY(context->run(inputs, outputs));

  // Whole runs without the profiler first, for what its clock reading adds.
  const int64_t iterations = o.integer("iterations");
  auto timed_runs = [&](std::vector<StepTime>* times) -> Result<double> {
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < iterations; ++i) {
      context->executor().set_profile(times);
      TRY(context->run(inputs, outputs));
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / double(iterations);
  };
  const double plain = TRY(timed_runs(nullptr));
  std::vector<StepTime> times;
  const double profiled = TRY(timed_runs(&times));
  std::vector<StepTime> one_run;
  context->executor().set_profile(&one_run);
  TRY(context->run(inputs, outputs));
  context->executor().set_profile(nullptr);

  std::map<const Node*, const StepPlan*> kernels;
  index_kernels(g, model.engine->content().steps, kernels, model.engine->plan());
  std::vector<StepSum> sums;
  std::map<const Node*, size_t> at;
  double total = 0;
  for (const StepTime& s : times) {
    auto [it, added] = at.try_emplace(s.node, sums.size());
    if (added) sums.push_back({s.node, s.depth});
    StepSum& sum = sums[it->second];
    ++sum.calls;
    sum.seconds += s.seconds;
    sum.least = std::min(sum.least, s.seconds);
    if (s.depth == 0) total += s.seconds;
  }
  const auto top = size_t(o.integer("top"));
  if (top > 0) {
    std::stable_sort(sums.begin(), sums.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
    sums.resize(std::min(sums.size(), top));
  }
  if (o.has("trace")) TRY(save_file(o.text("trace"), json_text(trace(one_run, kernels))));

  ordered_json steps = ordered_json::array();
  Table table({">MS", ">%", ">CALLS", "STEP", "KERNEL", "OUTPUT", "ONNX NODES"});
  for (const StepSum& s : sums) {
    const double ms = s.seconds / double(iterations) * 1e3, share = total > 0 ? s.seconds / total : 0;
    const auto it = kernels.find(s.node);
    const StepPlan* plan = it == kernels.end() ? nullptr : it->second;
    const std::string kernel = plan && !plan->image.kernel.empty() ? plan->image.kernel : "host";
    std::string output, origins = join(s.node->origins, " + ");
    for (const LoadedStep& l : model.engine->plan().steps)
      if (l.node == s.node && !s.node->outputs.empty() && s.node->outputs[0] != kNoValue) output = show_type(g.info(s.node->outputs[0]));
    if (origins.size() > 100) origins = origins.substr(0, 97) + "...";
    table.add({fixed(ms, 4), fixed(share * 100, 1), cat(s.calls / iterations), std::string(size_t(s.depth) * 2, ' ') + show_op(*s.node),
               kernel + (plan && plan->fallback ? " (fallback)" : ""), output, escape(origins)});
    steps.push_back({{"name", s.node->name}, {"op", s.node->op->name}, {"origins", s.node->origins}, {"kernel", kernel}, {"depth", s.depth},
                     {"calls_per_run", double(s.calls) / double(iterations)}, {"mean_ms", ms}, {"min_ms", s.least * 1e3}, {"share", share}});
  }
  if (o.has("json")) {
    print_json({{"schema", "tenon.profile/1"}, {"model", o.argument(0)}, {"device", device_text(*model.engine)}, {"threads", context->threads()},
                {"iterations", iterations}, {"run_ms", plain * 1e3}, {"profiled_run_ms", profiled * 1e3}, {"steps_ms", total / double(iterations) * 1e3},
                {"arena_bytes", context->executor().arena_bytes()}, {"steps", steps}});
    return int(kOk);
  }
  print_line(escape(o.argument(0)), " on ", device_text(*model.engine), ", ", counted(context->threads(), "thread"), ": ", fixed(plain * 1e3, 4), " ms a run, ",
             fixed(profiled * 1e3, 4), " ms with the profiler, workspace ", human_bytes(uint64_t(context->executor().arena_bytes())));
  print_text(table.text("  "));
  return int(kOk);
}

extern const Command profile_command = {
    "profile", "show where the time of a run goes",
    "tenon profile model.engine --threads 1\n"
    "tenon profile model.engine --top 10\n"
    "tenon profile model.engine --trace trace.json",
    declare, run};

}  // namespace tenon::cli
