// tenon bench: latency, throughput and memory of a model, beside other runtimes if asked.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "json.h"
#include "latency.h"
#include "model.h"
#include "peers.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL", "an engine, or an ONNX model, which is built in memory first"});
  o.add(Option{"duration", 0, Kind::duration, "TIME", "how long to measure", "3s"});
  o.add(Option{"warmup", 0, Kind::duration, "TIME", "how long to run before", "0.5s"});
  o.add(Option{"streams", 0, Kind::integer, "N", "contexts that run at once, each on a thread", "1", false, false, {}, 1, 256});
  o.add(Option{"fail-if", 0, Kind::text, "'p99>2ms'", "end with exit code 6 where this holds", "", true});
  o.add(Option{"compare", 0, Kind::text, "NAMES", "peers: onnxruntime,openvino"});
  declare_context_options(o);
  declare_build_options(o);
  o.add(Option{"input", 0, Kind::text, "NAME=FILE.npy", "data of an input; others are random", "", true, true});
  o.add(Option{"seed", 0, Kind::integer, "N", "of the random data", "0", false, true});
  o.add(Option{"html", 0, Kind::text, "FILE", "", "", false, true, {}, 0, 0, "figures are printed, or given as --json"});
}

// ---- memory ------------------------------------------------------------------------------------------------------

// The process's peak starts anew, so that building in memory does not count. Where the kernel refuses, it does.
static void reset_peak_memory() {
  malloc_trim(0);
  if (std::FILE* f = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", f);
    std::fclose(f);
  }
}

static double peak_memory_mib() {
  double mib = 0;
  if (std::FILE* f = std::fopen("/proc/self/status", "r")) {
    char line[256];
    long kib;
    while (std::fgets(line, sizeof line, f))
      if (std::sscanf(line, "VmHWM: %ld", &kib) == 1) mib = double(kib) / 1024;
    std::fclose(f);
  }
  return mib;
}

// ---- measurement -------------------------------------------------------------------------------------------------

namespace {
struct Measured {
  std::vector<double> seconds;  // of each run, in the order of their ends within a stream
  double wall = 0;
  int64_t device_bytes = 0;     // of the engine, its contexts, inputs and outputs; 0 where the device's memory is the host's
  double queued = 0;  // seconds a run where runs are queued on the device without waiting; 0: not measured
};
}  // namespace

// Inputs where the engine's device reads them, so that bringing them there is not measured.
static Result<std::vector<Tensor>> resident(const LoadedEngine& engine, const std::vector<Tensor>& inputs) {
  if (!engine.plan().split) return inputs;
  auto stream = TRY(engine.device().create_stream(1));
  std::vector<Tensor> out;
  for (const Tensor& t : inputs) {
    auto buffer = engine.device().allocate(std::max<int64_t>(t.bytes(), 1));
    if (!buffer) return Status(Code::out_of_memory, cat("no device memory for an input of ", human_bytes(uint64_t(t.bytes()))), "a smaller batch");
    TRY(engine.device().copy(*stream, buffer->data(), t.data(), t.bytes(), Copy::host_to_device));
    out.emplace_back(t.dtype(), t.shape(), buffer);
  }
  TRY(stream->synchronize());
  return out;
}

// Median seconds a run, of groups of runs that are put on the stream one behind the other and waited for once.
static Result<double> measure_queued(Context& context, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, double one_run) {
  using Clock = std::chrono::steady_clock;
  const int group = std::clamp(int(5e-3 / std::max(one_run, 1e-6)), 2, 200);
  std::vector<double> seconds;
  for (int k = 0; k < 21; ++k) {
    const auto begin = Clock::now();
    for (int i = 0; i < group; ++i) TRY(context.run(inputs, outputs, {.outputs_on_device = true, .wait = false}));
    TRY(context.synchronize());
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count() / group);
  }
  std::nth_element(seconds.begin(), seconds.begin() + 10, seconds.end());
  return seconds[10];
}

// What the run took of the device's memory.
static Result<int64_t> device_bytes(const LoadedEngine& engine, const std::vector<std::unique_ptr<Context>>& contexts,
                                    const std::vector<Tensor>& inputs, const std::vector<int64_t>& outputs) {
  if (!engine.plan().split) return 0;
  std::vector<Shape> shapes;
  int64_t bytes = engine.memory().device;
  for (const Tensor& t : inputs) {
    shapes.push_back(t.shape());
    bytes += engine.device().allocation_bytes(std::max<int64_t>(t.bytes(), 1));
  }
  for (const auto& c : contexts) bytes += TRY(c->executor().memory_for(shapes, std::vector<bool>(engine.graph().outputs.size(), true))).device;
  for (int64_t n : outputs) bytes += n;
  return bytes;
}

static Result<Measured> measure(const std::shared_ptr<LoadedEngine>& engine, const std::vector<Tensor>& given, const ContextOptions& options,
                                int streams, double warmup, double duration) {
  const std::vector<Tensor> inputs = TRY(resident(*engine, given));
  const RunOptions how{.outputs_on_device = true};
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  std::vector<std::unique_ptr<Context>> contexts;
  for (int k = 0; k < streams; ++k) contexts.push_back(TRY(Context::create(engine, options)));
  std::vector<Measured> found(contexts.size());
  std::vector<Status> states(contexts.size());
  std::vector<int64_t> output_bytes(contexts.size());
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  Clock::time_point start;
  auto work = [&](size_t k) {
    std::vector<Tensor> outputs;
    states[k] = contexts[k]->run(inputs, outputs, how);
    for (const auto begin = Clock::now(); states[k].ok() && since(begin) < warmup;) states[k] = contexts[k]->run(inputs, outputs, how);
    ++ready;
    while (!go.load()) std::this_thread::yield();
    while (states[k].ok() && (found[k].seconds.empty() || since(start) < duration)) {
      const auto begin = Clock::now();
      states[k] = contexts[k]->run(inputs, outputs, how);
      found[k].seconds.push_back(since(begin));
    }
    for (const Tensor& t : outputs)
      if (t && t.memory() != kHostMemory) output_bytes[k] += engine->device().allocation_bytes(t.buffer()->size());
  };
  std::vector<std::thread> threads;
  for (size_t k = 1; k < contexts.size(); ++k) threads.emplace_back(work, k);
  std::thread starter([&] {
    while (ready.load() < streams) std::this_thread::sleep_for(std::chrono::microseconds(200));
    start = Clock::now();
    go = true;
  });
  work(0);
  starter.join();
  for (std::thread& t : threads) t.join();
  Measured all;
  all.wall = since(start);
  for (size_t k = 0; k < found.size(); ++k) {
    TRY(states[k]);
    all.seconds.insert(all.seconds.end(), found[k].seconds.begin(), found[k].seconds.end());
  }
  all.device_bytes = TRY(device_bytes(*engine, contexts, inputs, output_bytes));
  if (engine->plan().split) {
    std::vector<Tensor> outputs;
    all.queued = TRY(measure_queued(*contexts[0], inputs, outputs, all.wall / double(std::max<size_t>(all.seconds.size(), 1))));
  }
  return all;
}

// ---- report ------------------------------------------------------------------------------------------------------

static ordered_json figures_json(const Figures& f) {
  const Latency& l = f.latency;
  return {{"iterations", l.count},
          {"throughput_per_s", f.throughput},
          {"latency_ms", {{"mean", l.mean}, {"ci95", l.ci95}, {"min", l.min}, {"p50", l.p50}, {"p90", l.p90}, {"p95", l.p95}, {"p99", l.p99}, {"max", l.max}}},
          {"memory_mib", {{"host", f.host_mib}, {"device", f.device_mib}}}};
}

static std::vector<std::string> row(const std::string& name, const Figures& f, bool device) {
  const Latency& l = f.latency;
  auto ms = [](double v) { return fixed(v, v < 10 ? 4 : 2); };
  std::vector<std::string> out{name, cat(l.count), fixed(f.throughput, 1), cat(ms(l.mean), " ± ", ms(l.ci95)), ms(l.min), ms(l.p50), ms(l.p90), ms(l.p95), ms(l.p99), ms(l.max),
          fixed(f.host_mib, 1)};
  if (device) out.push_back(fixed(f.device_mib, 1));
  return out;
}

static Result<std::vector<std::string>> parse_peers(const Options& o, bool built) {
  std::vector<std::string> out;
  if (!o.has("compare")) return out;
  if (!built) return Status(Code::invalid_argument, "--compare needs the ONNX model: peers cannot run an engine", "tenon bench MODEL.onnx --compare onnxruntime");
  for (const std::string& name : split(o.text("compare"), ',')) {
    const auto& known = peer_names();
    const std::string near = nearest(name, known);
    if (std::find(known.begin(), known.end(), name) == known.end())
      return invalid_argument("--compare: no peer '", escape(name), "'", near.empty() ? cat("; there are: ", join(known, ", ")) : cat("; did you mean '", near, "'?"));
    out.push_back(name);
  }
  return out;
}

static Figures figures_of(const std::vector<double>& seconds, double wall, int64_t batch, double host_mib) {
  Figures f;
  f.latency = summarize(seconds);
  f.throughput = wall > 0 ? double(seconds.size()) * double(batch) / wall : 0;
  f.host_mib = host_mib;
  return f;
}

static Result<int> run(const Options& o) {
  std::vector<Condition> conditions;
  for (const std::string& text : o.texts("fail-if")) conditions.push_back(TRY(parse_condition(text)));
  const std::string path = o.argument(0);
  const OpenModel model = TRY(open_model(o, path));
  const std::vector<std::string> peers = TRY(parse_peers(o, model.built));
  const Graph& g = model.engine->graph();
  const EngineContent& content = model.engine->content();
  const std::vector<Tensor> inputs = TRY(given_inputs(o, g, content.profiles, true));
  const int streams = int(o.integer("streams"));
  ContextOptions options = context_options(o);
  if (options.threads == 0) options.threads = std::max(1, int(std::thread::hardware_concurrency()) / streams);

  reset_peak_memory();
  const Measured m = TRY(measure(model.engine, inputs, options, streams, o.seconds("warmup"), o.seconds("duration")));
  const int64_t batch = batch_of(inputs);
  Figures ours = figures_of(m.seconds, m.wall, batch, peak_memory_mib());
  const bool on_device = model.engine->plan().split;
  ours.device_mib = double(m.device_bytes) / 1048576;

  ordered_json j = {{"schema", "tenon.bench/1"}, {"model", path}, {"device", device_text(*model.engine)}, {"precision", content.precision},
                    {"batch", batch}, {"threads", options.threads}, {"streams", streams}};
  j.update(figures_json(ours));
  if (m.queued > 0) j["queued_ms"] = m.queued * 1e3;
  j["inputs"] = ordered_json::object();
  for (size_t i = 0; i < inputs.size(); ++i) j["inputs"][g.value(g.inputs[i]).name] = show_tensor(inputs[i]);
  const std::string noise = why_noisy(ours.latency);
  j["noise"] = noise.empty() ? ordered_json(nullptr) : ordered_json(noise);
  j["peers"] = ordered_json::object();
  std::vector<std::string> heading{"", ">RUNS", ">PER S", ">MEAN MS", ">MIN", ">P50", ">P90", ">P95", ">P99", ">MAX", ">HOST MIB"};
  if (on_device) heading.push_back(">DEVICE MIB");
  Table table(heading);
  table.add(row("tenon", ours, on_device));
  for (const std::string& name : peers) {
    PeerRequest request{name, path, {}, g.output_names, inputs, options.threads, o.seconds("duration"), o.seconds("warmup")};
    for (ValueId v : g.inputs) request.input_names.push_back(g.value(v).name);
    const Result<PeerAnswer> answer = ask_peer(request);
    if (!answer.ok() || answer->seconds.empty()) {
      const std::string why = answer.ok() ? "no runs" : answer.status().message();
      warn(cat("peer ", name, ": ", why, answer.status().remedy().empty() ? "" : "; try: " + answer.status().remedy()));
      j["peers"][name] = {{"error", why}};
      continue;
    }
    double wall = 0;
    for (double s : answer->seconds) wall += s;
    const Figures theirs = figures_of(answer->seconds, wall, batch, answer->memory_mib);
    j["peers"][name] = figures_json(theirs);
    j["peers"][name]["version"] = answer->version;
    j["peers"][name]["ratio"] = ours.latency.p50 / theirs.latency.p50;
    table.add(row(cat(name, " ", answer->version), theirs, on_device));
  }

  ordered_json held = ordered_json::array();
  for (const Condition& c : conditions)
    if (holds(c, ours)) held.push_back(c.text);
  j["failed_conditions"] = held;
  if (o.has("json")) {
    print_json(j);
  } else {
    print_line(escape(path), " on ", j["device"].get<std::string>(), ", ", content.precision, ", ", counted(options.threads, "thread"),
               streams > 1 ? cat(" in each of ", streams, " streams") : std::string(), ", batch ", batch);
    for (size_t i = 0; i < inputs.size(); ++i) detail("input ", escape(g.value(g.inputs[i]).name), ": ", show_tensor(inputs[i]));
    print_text(table.text("  "));
    if (m.queued > 0) print_line("  queued one behind the other: ", fixed(m.queued * 1e3, 4), " ms a run");
  }
  if (!noise.empty()) warn("the figures are noisy: " + noise);
  for (const Condition& c : conditions)
    if (holds(c, ours)) log_line(Level::quiet, cat("fail-if: ", c.text, " holds: ", c.metric, " is ", fixed(metric_value(c, ours), 4)));
  return int(held.empty() ? kOk : kConditionHeld);
}

extern const Command bench_command = {
    "bench", "measure latency, throughput and memory",
    "tenon bench model.engine --threads 1\n"
    "tenon bench model.onnx --shape image:8x3x224x224 --compare onnxruntime\n"
    "tenon bench model.engine --fail-if 'p99>2ms' --json",
    declare, run};

}  // namespace tenon::cli
