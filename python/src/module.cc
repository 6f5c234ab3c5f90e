// tenon._core: building, loading and running engines. The friendly face is python/tenon/.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
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
#include "device_array.h"
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
    return {{"engine", int64_t(bytes_.size())}, {"device", engine_->memory().device}, {"arena", arena_}, {"peak", peak_},
            {"lower_bound", lower_bound_}};
  }
  std::shared_ptr<Device> device() const { return engine_->devices()[0].device; }

 private:
  std::shared_ptr<LoadedEngine> engine_;
  std::span<const uint8_t> bytes_;
  std::shared_ptr<const void> owner_;
  ContextOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> free_;
  int64_t arena_ = 0, peak_ = 0, lower_bound_ = 0;
};

// A context of the model's for the time of a call.
class Borrowed {
 public:
  explicit Borrowed(Model& model) : model_(model), context_(value_or_raise(unlocked([&] { return model.take_context(); }))) {}
  ~Borrowed() { model_.give_back(std::move(context_)); }
  Context* operator->() const { return context_.get(); }

 private:
  Model& model_;
  std::unique_ptr<Context> context_;
};

// Arrays fixed to a model's inputs and outputs, with a context of their own, which goes first: it waits for its work.
struct Bound {
  std::shared_ptr<Model> model;
  std::vector<Tensor> inputs, outputs;
  std::vector<nb::object> on_device;  // the arrays of other libraries that lie there
  std::mutex mutex;
  std::unique_ptr<Context> context;

  Reach reach() const { return {*model->device(), context->stream()}; }
  Status wait() {
    std::lock_guard lock(mutex);
    return context->synchronize();
  }
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

static std::vector<Tensor> read_inputs(const Graph& g, nb::dict feeds, Access access, const Reach& reach) {
  std::vector<Tensor> inputs;
  for (ValueId v : g.inputs) {
    const std::string& name = g.value(v).name;
    PyObject* object = PyDict_GetItemString(feeds.ptr(), name.c_str());
    if (!object) {
      std::vector<std::string> given;
      for (auto [key, value] : feeds) given.push_back(nb::cast<std::string>(nb::str(key)));
      raise(invalid_argument("input '", escape(name), "' is missing; given: ", given.empty() ? "nothing" : join(given, ", ")));
    }
    inputs.push_back(to_tensor(object, g.info(v).dtype, access, cat("input '", escape(name), "'"), reach));
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

static Array parse_kind(const std::string& kind) { return kind == "numpy" ? Array::numpy : kind == "device" ? Array::device : Array::dlpack; }

// What was made on the host although the caller's arrays are on the device follows them there.
static Result<Tensor> to_device(const Tensor& t, const Reach& reach) {
  auto buffer = reach.device.allocate(std::max<int64_t>(t.bytes(), 1));
  if (!buffer)
    return Status(Code::out_of_memory, cat("no device memory for an output of ", human_bytes(uint64_t(t.bytes()))), "a smaller batch");
  TRY(reach.device.copy(reach.stream, buffer->data(), t.data(), t.bytes(), Copy::host_to_device));
  return Tensor(t.dtype(), t.shape(), buffer);
}

static Status all_to_device(std::vector<Tensor>& tensors, const Reach& reach) {
  if (reach.device.memory() == kHostMemory) return {};
  for (Tensor& t : tensors)
    if (t.memory() == kHostMemory && bits(t.dtype()) >= 8) t = TRY(to_device(t, reach));
  return {};
}

static nb::object to_object(const Tensor& t, Array kind, const std::shared_ptr<Model>& m, void* stream = nullptr,
                            std::function<Status()> settle = {}) {
  if (kind != Array::device) return from_tensor(t, kind);
  if (t.memory() == kHostMemory) return from_tensor(t, Array::numpy);
  return nb::cast(std::make_unique<DeviceArray>(m->device(), t, stream, std::move(settle)));
}

static nb::list run(const std::shared_ptr<Model>& m, nb::dict feeds, const std::string& kind) {
  const Array wanted = parse_kind(kind);
  std::vector<Tensor> outputs;
  {
    const Borrowed context(*m);
    const Reach reach{*m->device(), context->stream()};
    const std::vector<Tensor> inputs = read_inputs(m->graph(), feeds, Access::read, reach);
    check(unlocked([&]() -> Status {
      TRY(context->run(inputs, outputs, {.outputs_on_device = wanted == Array::device}));
      if (wanted != Array::device) return {};
      TRY(all_to_device(outputs, reach));
      return context->synchronize();
    }));
  }
  nb::list out;
  for (const Tensor& t : outputs) out.append(to_object(t, wanted, m));
  return out;
}

static std::shared_ptr<Bound> bind(const std::shared_ptr<Model>& m, nb::dict feeds, nb::dict results) {
  auto b = std::make_shared<Bound>();
  b->model = m;
  b->context = value_or_raise(unlocked([&] { return m->make_context(); }));
  const Graph& g = m->graph();
  b->inputs = read_inputs(g, feeds, Access::read_here, b->reach());
  b->outputs.resize(g.outputs.size());
  for (auto [key, value] : results) {
    const std::string name = nb::cast<std::string>(nb::str(key));
    const auto at = std::find(g.output_names.begin(), g.output_names.end(), name);
    if (at == g.output_names.end()) raise(no_such("output", name, g.output_names));
    const auto i = size_t(at - g.output_names.begin());
    b->outputs[i] = to_tensor(value, g.info(g.outputs[i]).dtype, Access::write_here, cat("output '", escape(name), "'"), b->reach());
  }
  for (const nb::dict& arrays : {feeds, results})
    for (auto [key, value] : arrays)
      if (device_of(value) && !nb::isinstance<DeviceArray>(value)) b->on_device.push_back(nb::borrow(value));
  // Runs may be put on streams that know nothing of what is under way on the arrays by now.
  if (!b->on_device.empty()) check(unlocked([&] { return b->context->synchronize(); }));
  return b;
}

// Without a stream it waits, for what other libraries have under way on the arrays and for the run. With one, both are a matter
// of the stream. Outputs that are bound are null in the answer: the caller has them.
static nb::list execute(const std::shared_ptr<Bound>& b, const std::string& kind, std::optional<uint64_t> stream) {
  const Array wanted = parse_kind(kind);
  std::unique_lock lock(b->mutex, std::try_to_lock);
  if (!lock) raise(Status(Code::invalid_argument, "this binding is running on another thread", "bind once for each thread"));
  check(b->context->stream().redirect(stream ? reinterpret_cast<void*>(*stream) : nullptr));
  if (!stream)
    for (const nb::object& array : b->on_device) wait_for_producer(array, b->reach());
  std::vector<Tensor> outputs = b->outputs;
  check(unlocked([&]() -> Status {
    TRY(b->context->run(b->inputs, outputs, {.outputs_on_device = wanted == Array::device, .wait = !stream}));
    if (wanted != Array::device) return {};
    TRY(all_to_device(outputs, b->reach()));
    return stream ? Status() : b->context->synchronize();
  }));
  nb::list out;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (b->outputs[i]) out.append(nb::none());
    else if (stream) out.append(to_object(outputs[i], wanted, b->model, b->context->stream().handle(), [b] { return b->wait(); }));
    else out.append(to_object(outputs[i], wanted, b->model));
  }
  return out;
}

// Bytes of a run with inputs of these shapes: on the device and on the host.
static std::pair<int64_t, int64_t> memory_for(Model& m, const std::map<std::string, std::vector<int64_t>>& shapes) {
  const Graph& g = m.graph();
  std::vector<Shape> wanted;
  for (ValueId v : g.inputs) {
    const auto given = shapes.find(g.value(v).name);
    const auto fixed = g.info(v).ranked ? to_concrete(g.info(v).shape) : std::nullopt;
    if (given == shapes.end() && !fixed) raise(invalid_argument("the shape of input '", escape(g.value(v).name), "' is missing"));
    wanted.push_back(given != shapes.end() ? given->second : *fixed);
  }
  for (const auto& [name, shape] : shapes)
    if (const auto names = input_names(g); std::find(names.begin(), names.end(), name) == names.end()) raise(no_such("input", name, names));
  const Borrowed context(m);
  const MemoryUse use = value_or_raise(unlocked([&] { return context->executor().memory_for(wanted, std::vector<bool>(g.outputs.size())); }));
  return {use.device + m.engine().memory().device, use.host + m.engine().memory().host};
}

struct Options {
  BuildOptions build;
  LoadOptions load;
  ContextOptions context;
};

// {effort, budget, tuning_db}: effort -1 is the default
using Tuning = std::tuple<int, double, std::string>;

static Options read_options(const std::string& device, const std::string& target, const std::string& precision,
                            const std::vector<std::string>& shapes, const std::vector<std::string>& io_types,
                            const std::vector<std::string>& pins, int threads, int64_t workspace, bool golden, const Tuning& tuning) {
  Options o;
  // "cuda:sm_90a" is a target.
  const size_t colon = device.find(':');
  const bool names_target = colon != device.npos && colon + 1 < device.size() && !isdigit(static_cast<unsigned char>(device[colon + 1]));
  if (names_target && !target.empty())
    raise(invalid_argument("device '", escape(device), "' and target '", escape(target), "' contradict each other"));
  const DeviceChoice choice = names_target ? DeviceChoice{device.substr(0, colon)} : value_or_raise(parse_device(device));
  o.build.device = choice.name;
  o.load.ordinal = choice.ordinal;
  o.build.target = names_target ? device : target;
  if (choice.ordinal > 0 && target.empty()) o.build.target = value_or_raise(target_of(choice));
  o.build.precision = precision;
  for (const std::string& text : shapes) o.build.shapes.push_back(value_or_raise(parse_shape_spec(text)));
  for (const std::string& text : io_types) o.build.io_types.push_back(value_or_raise(parse_io_type(text)));
  o.build.pins = pins;
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

// `device` may be "": the first of the kind that the engine was built for.
static std::shared_ptr<LoadedEngine> open_engine(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner, const std::string& device,
                                                 const std::string& label) {
  const DeviceChoice choice = value_or_raise(parse_device(device));
  auto engine = unlocked([&] { return LoadedEngine::load_bytes(bytes, owner, {choice.ordinal}); });
  if (!engine.ok()) raise(engine.status().with_prefix(label));
  const std::string& target = (*engine)->content().target;
  if (!choice.name.empty() && target.substr(0, target.find(':')) != choice.name)
    raise(Status(Code::invalid_argument, cat(label, "the engine was built for ", target, ", not for ", escape(choice.name)),
                 "build it for that device, or leave out device"));
  return std::move(*engine);
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
      .def("memory_for", &memory_for, nb::arg("shapes"))
      .def("run", &run, nb::arg("feeds"), nb::arg("kind") = "numpy")
      .def("bind", &bind, nb::arg("feeds"), nb::arg("results"))
      .def("save",
           [](const Model& self, const std::string& path) {
             const std::span<const uint8_t> pieces[] = {self.bytes()};
             check(unlocked([&] { return write_file_atomically(path, pieces); }));
           },
           nb::arg("path"))
      .def("serialize", [](const Model& self) { return nb::bytes(self.bytes().data(), self.bytes().size()); });

  nb::class_<Bound>(m, "Bound")
      .def("execute", &execute, nb::arg("kind") = "numpy", nb::arg("stream").none() = nb::none())
      .def("wait", [](Bound& self) { check(unlocked([&] { return self.wait(); })); });

  nb::class_<DeviceArray>(m, "DeviceArray",
                          "An array in the memory of a device. Libraries take it as it is, by DLPack or __cuda_array_interface__.")
      .def_prop_ro("shape", &DeviceArray::shape)
      .def_prop_ro("dtype", [](const DeviceArray& self) { return numpy_name(self.tensor().dtype()); })
      .def_prop_ro("nbytes", [](const DeviceArray& self) { return self.tensor().bytes(); })
      .def_prop_ro("device", &DeviceArray::device_name)
      .def_prop_ro("ptr", [](const DeviceArray& self) { return reinterpret_cast<uintptr_t>(self.tensor().data()); })
      .def("numpy", &DeviceArray::numpy, "A copy on the host.")
      .def("__array__",
           [](const DeviceArray&, nb::args, nb::kwargs) { throw nb::type_error("an array on a device becomes numpy's by numpy()"); })
      .def("update", &DeviceArray::update, nb::arg("array"), "Copies an array of the same type and shape here.")
      .def("__dlpack__", &DeviceArray::dlpack, nb::kw_only(), nb::arg("stream").none() = nb::none(), nb::arg("max_version").none() = nb::none(),
           nb::arg("dl_device").none() = nb::none(), nb::arg("copy").none() = nb::none())
      .def("__dlpack_device__",
           [](const DeviceArray& self) {
             const DLPackDevice d = self.device().dlpack_device();
             return nb::make_tuple(d.type, d.id);
           })
      .def_prop_ro("__cuda_array_interface__", &DeviceArray::cuda_interface);
  m.def("device_empty",
        [](const std::string& device, const std::vector<int64_t>& shape, const std::string& dtype) {
          return make_device_array(open_named_device(device), shape, dtype);
        },
        nb::arg("device"), nb::arg("shape"), nb::arg("dtype"));
  m.def("device_view",
        [](const std::string& device, uint64_t address, const std::vector<int64_t>& shape, const std::string& dtype, nb::object owner) {
          return view_device_memory(open_named_device(device), address, shape, dtype, owner);
        },
        nb::arg("device"), nb::arg("address"), nb::arg("shape"), nb::arg("dtype"), nb::arg("owner").none());
  m.def("device_take", &take_device_array, nb::arg("array"));

  m.def("compile_file",
        [](const std::string& path, const std::string& device, const std::string& target, const std::string& precision,
           const std::vector<std::string>& shapes, const std::vector<std::string>& io_types, const std::vector<std::string>& pins,
           int threads, int64_t workspace, bool golden, const Tuning& tuning, nb::object progress) {
          const Options options = read_options(device, target, precision, shapes, io_types, pins, threads, workspace, golden, tuning);
          const Progress watcher = watch(progress);
          return open_built(unlocked([&] { return tenon::compile_file(path, options.build, watcher); }), options);
        },
        nb::arg("path"), nb::arg("device"), nb::arg("target"), nb::arg("precision"), nb::arg("shapes"), nb::arg("io_types"),
        nb::arg("pins"), nb::arg("threads"), nb::arg("workspace"), nb::arg("golden"), nb::arg("tuning"), nb::arg("progress").none());
  m.def("compile_bytes",
        [](nb::bytes bytes, const std::string& folder, const std::string& device, const std::string& target,
           const std::string& precision, const std::vector<std::string>& shapes, const std::vector<std::string>& io_types,
           const std::vector<std::string>& pins, int threads, int64_t workspace, bool golden, const Tuning& tuning, nb::object progress) {
          const Options options = read_options(device, target, precision, shapes, io_types, pins, threads, workspace, golden, tuning);
          const Progress watcher = watch(progress);
          const std::span<const uint8_t> span(static_cast<const uint8_t*>(bytes.data()), bytes.size());
          return open_built(unlocked([&] { return tenon::compile_bytes(span, folder, options.build, watcher); }), options);
        },
        nb::arg("bytes"), nb::arg("folder"), nb::arg("device"), nb::arg("target"), nb::arg("precision"), nb::arg("shapes"),
        nb::arg("io_types"), nb::arg("pins"), nb::arg("threads"), nb::arg("workspace"), nb::arg("golden"), nb::arg("tuning"), nb::arg("progress").none());
  m.def("load_file",
        [](const std::string& path, const std::string& device, int threads, int64_t workspace) {
          auto file = value_or_raise(MappedFile::open(path));
          auto engine = open_engine(file->bytes(), file, device, cat("'", path, "': "));
          return std::make_shared<Model>(std::move(engine), file->bytes(), file, ContextOptions{threads, workspace});
        },
        nb::arg("path"), nb::arg("device"), nb::arg("threads"), nb::arg("workspace"));
  m.def("load_bytes",
        [](nb::bytes bytes, const std::string& device, int threads, int64_t workspace) {
          const auto* begin = static_cast<const uint8_t*>(bytes.data());
          auto copy = std::make_shared<std::vector<uint8_t>>(begin, begin + bytes.size());
          auto engine = open_engine(*copy, copy, device, "");
          return std::make_shared<Model>(std::move(engine), std::span<const uint8_t>(*copy), copy, ContextOptions{threads, workspace});
        },
        nb::arg("bytes"), nb::arg("device"), nb::arg("threads"), nb::arg("workspace"));
  m.def("device_names", &device_names);
  m.def("has_device", [](const std::string& device) { return device_state(device).ok(); });
  m.def("looks_like_engine", [](nb::bytes bytes) {
    return looks_like_engine({static_cast<const uint8_t*>(bytes.data()), bytes.size()});
  });
}

}  // namespace tenon::python
