// tenon._core: building, loading and running engines. The friendly face is python/tenon/.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <mutex>

#include "backend/compiler.h"
#include "base/memory_limit.h"
#include "compiler/compile.h"
#include "convert.h"
#include "engine/engine_file.h"
#include "runtime/engine.h"

namespace tenon::python {

// Runs work without the GIL; a lack of memory is an error like others.
template <class Work>
static auto unlocked(Work work) -> decltype(work()) {
  nb::gil_scoped_release release;
  return catch_bad_alloc(work);
}

// An engine, the bytes it came from, and a context for each thread that is inside run() at the moment.
class Model {
 public:
  Model(std::shared_ptr<LoadedEngine> engine, std::span<const uint8_t> bytes, std::shared_ptr<const void> owner, ContextOptions options)
      : engine_(std::move(engine)), bytes_(bytes), owner_(std::move(owner)), options_(options) {}

  const LoadedEngine& engine() const { return *engine_; }
  const Graph& graph() const { return engine_->graph(); }
  std::span<const uint8_t> bytes() const { return bytes_; }

  Result<std::unique_ptr<Context>> make_context() { return Context::create(engine_, options_); }
  Result<std::unique_ptr<Context>> take_context() {
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto c = std::move(free_.back());
        free_.pop_back();
        return c;
      }
    }
    return make_context();
  }
  void give_back(std::unique_ptr<Context> c) {
    std::lock_guard lock(mutex_);
    arena_ = c->executor().arena_bytes();
    peak_ = c->executor().planned_peak();
    lower_bound_ = c->executor().planned_lower_bound();
    free_.push_back(std::move(c));
  }
  std::map<std::string, int64_t> memory() {
    std::lock_guard lock(mutex_);
    return {{"engine", int64_t(bytes_.size())}, {"arena", arena_}, {"peak", peak_}, {"lower_bound", lower_bound_}};
  }

 private:
  std::shared_ptr<LoadedEngine> engine_;
  std::span<const uint8_t> bytes_;
  std::shared_ptr<const void> owner_;
  ContextOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> free_;
  int64_t arena_ = 0, peak_ = 0, lower_bound_ = 0;
};

// Arrays fixed to a model's inputs and outputs, with a context of their own.
struct Bound {
  std::shared_ptr<Model> model;
  std::unique_ptr<Context> context;
  std::vector<Tensor> inputs, outputs;
  std::mutex mutex;
};

static nb::list describe_values(const Model& m, bool inputs) {
  nb::list out;
  const Graph& g = m.graph();
  const auto& ids = inputs ? g.inputs : g.outputs;
  for (size_t i = 0; i < ids.size(); ++i) {
    const ValueInfo& info = g.info(ids[i]);
    nb::object shape = nb::none();
    if (info.ranked) {
      nb::list dims;
      for (const Dim& d : info.shape) d.is_const() ? dims.append(d.constant()) : dims.append(d.to_string());
      shape = nb::tuple(dims);
    }
    const std::string& name = inputs ? g.value(ids[i]).name : g.output_names[i];
    out.append(nb::make_tuple(name, numpy_name(info.dtype), shape));
  }
  return out;
}

static Status no_such(const char* kind, const std::string& name, const std::vector<std::string>& names) {
  const std::string near = nearest(name, names);
  return invalid_argument("the model has no ", kind, " '", escape(name), "'; it has: ", join(names, ", "),
                          near.empty() ? "" : cat(" (did you mean '", near, "'?)"));
}

static std::vector<std::string> input_names(const Graph& g) {
  std::vector<std::string> names;
  for (ValueId v : g.inputs) names.push_back(g.value(v).name);
  return names;
}

static std::vector<Tensor> read_inputs(const Graph& g, nb::dict feeds, Access access) {
  std::vector<Tensor> inputs;
  for (ValueId v : g.inputs) {
    const std::string& name = g.value(v).name;
    PyObject* object = PyDict_GetItemString(feeds.ptr(), name.c_str());
    if (!object) {
      std::vector<std::string> given;
      for (auto [key, value] : feeds) given.push_back(nb::cast<std::string>(nb::str(key)));
      raise(invalid_argument("input '", escape(name), "' is missing; given: ", given.empty() ? "nothing" : join(given, ", ")));
    }
    inputs.push_back(to_tensor(object, g.info(v).dtype, access, cat("input '", escape(name), "'")));
  }
  if (feeds.size() > g.inputs.size()) {
    const auto names = input_names(g);
    for (auto [key, value] : feeds) {
      const std::string text = nb::cast<std::string>(nb::str(key));
      if (std::find(names.begin(), names.end(), text) == names.end()) raise(no_such("input", text, names));
    }
  }
  return inputs;
}

static nb::list to_list(const std::vector<Tensor>& tensors, bool numpy) {
  nb::list out;
  for (const Tensor& t : tensors) out.append(from_tensor(t, numpy ? Array::numpy : Array::dlpack));
  return out;
}

static nb::list run(const std::shared_ptr<Model>& m, nb::dict feeds, bool numpy) {
  std::vector<Tensor> inputs = read_inputs(m->graph(), feeds, Access::read), outputs;
  check(unlocked([&]() -> Status {
    auto context = TRY(m->take_context());
    Status status = context->run(inputs, outputs);
    m->give_back(std::move(context));
    return status;
  }));
  return to_list(outputs, numpy);
}

static std::unique_ptr<Bound> bind(const std::shared_ptr<Model>& m, nb::dict feeds, nb::dict results) {
  auto b = std::make_unique<Bound>();
  b->model = m;
  const Graph& g = m->graph();
  b->inputs = read_inputs(g, feeds, Access::read_here);
  b->outputs.resize(g.outputs.size());
  for (auto [key, value] : results) {
    const std::string name = nb::cast<std::string>(nb::str(key));
    const auto at = std::find(g.output_names.begin(), g.output_names.end(), name);
    if (at == g.output_names.end()) raise(no_such("output", name, g.output_names));
    const auto i = size_t(at - g.output_names.begin());
    b->outputs[i] = to_tensor(value, g.info(g.outputs[i]).dtype, Access::write_here, cat("output '", escape(name), "'"));
  }
  b->context = value_or_raise(unlocked([&] { return m->make_context(); }));
  return b;
}

static nb::list execute(Bound& b, bool numpy) {
  std::vector<Tensor> outputs;
  check(unlocked([&]() -> Status {
    std::unique_lock lock(b.mutex, std::try_to_lock);
    if (!lock) return Status(Code::invalid_argument, "this binding is running on another thread", "bind once for each thread");
    outputs = b.outputs;
    return b.context->run(b.inputs, outputs);
  }));
  return to_list(outputs, numpy);
}

struct Options {
  BuildOptions build;
  LoadOptions load;
  ContextOptions context;
};

// {effort, budget, tuning_db}: effort -1 is the default
using Tuning = std::tuple<int, double, std::string>;

static Options read_options(const std::string& device, const std::string& target, const std::string& precision,
                            const std::vector<std::string>& shapes, int threads, int64_t workspace, bool golden, const Tuning& tuning) {
  Options o;
  const size_t colon = device.find(':');
  o.build.device = device.substr(0, colon);
  o.build.target = target;
  if (colon != device.npos) {
    int64_t ordinal;
    const std::string rest = device.substr(colon + 1);
    if (parse_int(rest, ordinal) && ordinal >= 0 && ordinal < 1024) o.load.ordinal = int(ordinal);
    else if (target.empty()) o.build.target = device;
    else raise(invalid_argument("device '", escape(device), "' and target '", escape(target), "' contradict each other"));
  }
  o.build.precision = precision;
  for (const std::string& text : shapes) o.build.shapes.push_back(value_or_raise(parse_shape_spec(text)));
  o.build.golden = golden;
  std::tie(o.build.tuning.effort, o.build.tuning.budget, o.build.tuning.database) = tuning;
  o.build.tuning.ordinal = o.load.ordinal;
  o.context.threads = threads;
  o.context.workspace = workspace;
  return o;
}

// Asks Python about Ctrl-C and tells the caller's function, at the few points where a build reports.
static Progress watch(nb::object callback) {
  return [callback](const char* stage, int64_t done, int64_t total) {
    nb::gil_scoped_acquire gil;
    if (PyErr_Occurred()) return false;
    if (PyErr_CheckSignals() != 0) return false;
    if (callback.is_none()) return true;
    try {
      nb::object answer = callback(stage, done, total);
      return !(answer.ptr() == Py_False);
    } catch (nb::python_error& error) {
      error.restore();
      return false;
    }
  };
}

static std::shared_ptr<Model> open_built(Result<BuildResult> built, const Options& options) {
  if (PyErr_Occurred()) throw nb::python_error();
  if (!built.ok()) raise(built.status());
  auto bytes = std::make_shared<std::vector<uint8_t>>(std::move(built->bytes));
  LoadOptions load = options.load;
  load.verify_checksums = false;  // they were written a moment ago
  auto engine = value_or_raise(unlocked([&] { return LoadedEngine::load_bytes(*bytes, bytes, load); }));
  return std::make_shared<Model>(std::move(engine), std::span<const uint8_t>(*bytes), bytes, options.context);
}

NB_MODULE(_core, m) {
  m.doc() = "Builds, loads and runs engines.";
  m.attr("__version__") = kTenonVersion;

  nb::class_<Model>(m, "Model")
      .def_prop_ro("inputs", [](const Model& self) { return describe_values(self, true); })
      .def_prop_ro("outputs", [](const Model& self) { return describe_values(self, false); })
      .def_prop_ro("report", [](const Model& self) { return self.engine().content().report; })
      .def_prop_ro("device", [](const Model& self) { return self.engine().device().description(); })
      .def_prop_ro("target", [](const Model& self) { return self.engine().content().target; })
      .def_prop_ro("precision", [](const Model& self) { return self.engine().content().precision; })
      .def_prop_ro("name", [](const Model& self) { return self.engine().content().model_name; })
      .def_prop_ro("producer", [](const Model& self) { return self.engine().content().producer; })
      .def_prop_ro("opset", [](const Model& self) { return self.engine().content().opset; })
      .def_prop_ro("metadata", [](const Model& self) { return self.engine().content().metadata; })
      .def_prop_ro("memory", &Model::memory)
      .def("run", &run, nb::arg("feeds"), nb::arg("numpy") = true)
      .def("bind", &bind, nb::arg("feeds"), nb::arg("results"))
      .def("save",
           [](const Model& self, const std::string& path) {
             const std::span<const uint8_t> pieces[] = {self.bytes()};
             check(unlocked([&] { return write_file_atomically(path, pieces); }));
           },
           nb::arg("path"))
      .def("serialize", [](const Model& self) { return nb::bytes(self.bytes().data(), self.bytes().size()); });

  nb::class_<Bound>(m, "Bound").def("execute", &execute, nb::arg("numpy") = true);

  m.def("compile_file",
        [](const std::string& path, const std::string& device, const std::string& target, const std::string& precision,
           const std::vector<std::string>& shapes, int threads, int64_t workspace, bool golden,
           const Tuning& tuning, nb::object progress) {
          const Options options = read_options(device, target, precision, shapes, threads, workspace, golden, tuning);
          const Progress watcher = watch(progress);
          return open_built(unlocked([&] { return tenon::compile_file(path, options.build, watcher); }), options);
        },
        nb::arg("path"), nb::arg("device"), nb::arg("target"), nb::arg("precision"), nb::arg("shapes"), nb::arg("threads"),
        nb::arg("workspace"), nb::arg("golden"), nb::arg("tuning"), nb::arg("progress").none());
  m.def("compile_bytes",
        [](nb::bytes bytes, const std::string& folder, const std::string& device, const std::string& target,
           const std::string& precision, const std::vector<std::string>& shapes, int threads, int64_t workspace, bool golden,
           const Tuning& tuning, nb::object progress) {
          const Options options = read_options(device, target, precision, shapes, threads, workspace, golden, tuning);
          const Progress watcher = watch(progress);
          const std::span<const uint8_t> span(static_cast<const uint8_t*>(bytes.data()), bytes.size());
          return open_built(unlocked([&] { return tenon::compile_bytes(span, folder, options.build, watcher); }), options);
        },
        nb::arg("bytes"), nb::arg("folder"), nb::arg("device"), nb::arg("target"), nb::arg("precision"), nb::arg("shapes"),
        nb::arg("threads"), nb::arg("workspace"), nb::arg("golden"), nb::arg("tuning"), nb::arg("progress").none());
  m.def("load_file",
        [](const std::string& path, int ordinal, int threads, int64_t workspace) {
          auto file = value_or_raise(MappedFile::open(path));
          auto engine = value_or_raise(unlocked([&]() -> Result<std::shared_ptr<LoadedEngine>> {
            auto loaded = LoadedEngine::load_bytes(file->bytes(), file, {ordinal});
            if (!loaded.ok()) return loaded.status().with_prefix(cat("'", path, "': "));
            return loaded;
          }));
          return std::make_shared<Model>(std::move(engine), file->bytes(), file, ContextOptions{threads, workspace});
        },
        nb::arg("path"), nb::arg("ordinal"), nb::arg("threads"), nb::arg("workspace"));
  m.def("load_bytes",
        [](nb::bytes bytes, int ordinal, int threads, int64_t workspace) {
          const auto* begin = static_cast<const uint8_t*>(bytes.data());
          auto copy = std::make_shared<std::vector<uint8_t>>(begin, begin + bytes.size());
          auto engine = value_or_raise(unlocked([&] { return LoadedEngine::load_bytes(*copy, copy, {ordinal}); }));
          return std::make_shared<Model>(std::move(engine), std::span<const uint8_t>(*copy), copy, ContextOptions{threads, workspace});
        },
        nb::arg("bytes"), nb::arg("ordinal"), nb::arg("threads"), nb::arg("workspace"));
  m.def("device_names", &device_names);
  m.def("has_device", [](const std::string& device) { return device_state(device).ok(); });
  m.def("looks_like_engine", [](nb::bytes bytes) {
    return looks_like_engine({static_cast<const uint8_t*>(bytes.data()), bytes.size()});
  });
}

}  // namespace tenon::python
