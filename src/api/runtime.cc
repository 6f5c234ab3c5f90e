// Runtime, Engine and ExecutionContext: the run half of the C++ API.
#include <algorithm>
#include <cstring>

#include "api/api.h"
#include "engine/engine_file.h"
#include "runtime/symbols.h"

namespace tenon {

const char* data_type_name(DataType type) { return tenon::name(DType(type)); }
int64_t data_type_bytes(DataType type, int64_t elements) {
  return elements < 0 || elements > INT64_MAX / 16 ? -1 : byte_size(DType(type), elements);
}

bool TensorInfo::is_fixed() const {
  return ranked && std::all_of(dims.begin(), dims.end(), [](const std::string& d) { return !d.empty() && isdigit((unsigned char)d[0]); });
}

// ---- Runtime and Engine ------------------------------------------------------------------------------------------

static std::vector<TensorInfo> describe_values(const Graph& g, bool inputs) {
  std::vector<TensorInfo> out;
  const auto& ids = inputs ? g.inputs : g.outputs;
  for (size_t i = 0; i < ids.size(); ++i) {
    const ValueInfo& info = g.info(ids[i]);
    TensorInfo t{inputs ? g.value(ids[i]).name : g.output_names[i], DataType(info.dtype), info.ranked, {}};
    for (const Dim& d : info.shape) t.dims.push_back(d.to_string());
    out.push_back(std::move(t));
  }
  return out;
}

Result<Engine> Runtime::load(const EngineFile& file) const {
  return api::guarded([&]() -> Result<Engine> {
    LoadOptions options;
    options.ordinal = ordinal_;
    auto loaded = TRY(LoadedEngine::load_bytes(file.bytes(), file.impl()->owner, options));
    auto impl = std::make_shared<Engine::Impl>();
    impl->inputs = describe_values(loaded->graph(), true);
    impl->outputs = describe_values(loaded->graph(), false);
    impl->engine = std::move(loaded);
    return Engine(std::move(impl));
  });
}

Result<Engine> Runtime::load(const std::string& path) const {
  auto file = EngineFile::open(path);
  if (!file.ok()) return file.status();
  auto engine = load(*file);
  if (!engine.ok()) return engine.status().with_prefix(cat("'", path, "': "));
  return engine;
}

const std::vector<TensorInfo>& Engine::inputs() const { return impl_->inputs; }
const std::vector<TensorInfo>& Engine::outputs() const { return impl_->outputs; }
const std::string& Engine::name() const { return impl_->engine->content().model_name; }
const std::string& Engine::target() const { return impl_->engine->content().target; }
const std::string& Engine::precision() const { return impl_->engine->content().precision; }
std::string Engine::device() const { return impl_->engine->device().description(); }
const std::map<std::string, std::string>& Engine::metadata() const { return impl_->engine->content().metadata; }
int64_t Engine::device_memory_bytes() const { return impl_->engine->memory().device; }
int64_t Engine::host_memory_bytes() const { return impl_->engine->memory().host; }

// ---- ExecutionContext --------------------------------------------------------------------------------------------

struct ExecutionContext::Impl {
  struct Slot {
    void* data = nullptr;
    int64_t bytes = -1;
    MemoryId memory = kHostMemory;
    std::optional<Shape> shape;  // inputs
  };
  std::unique_ptr<Context> context;
  std::vector<Slot> inputs, outputs;
  std::vector<Tensor> results;

  const Graph& graph() const { return context->engine().graph(); }
  std::string input_label(size_t i) const { return cat("input '", escape(graph().value(graph().inputs[i]).name), "'"); }
  Status run();
  Status deliver(size_t i);
  Result<MemoryUse> memory() const;
  Result<size_t> find_output(std::string_view name) const;
  Status place_output(size_t i, const SymbolValues& symbols, Tensor& out) const;
};

ExecutionContext::ExecutionContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ExecutionContext::~ExecutionContext() = default;
ExecutionContext::ExecutionContext(ExecutionContext&&) noexcept = default;
ExecutionContext& ExecutionContext::operator=(ExecutionContext&&) noexcept = default;

Result<ExecutionContext> Engine::create_context(int threads, int64_t workspace_bytes) const {
  return api::guarded([&]() -> Result<ExecutionContext> {
    auto impl = std::make_unique<ExecutionContext::Impl>();
    impl->context = TRY(Context::create(impl_->engine, {threads, workspace_bytes}));
    const Graph& g = impl->graph();
    impl->inputs.resize(g.inputs.size());
    impl->outputs.resize(g.outputs.size());
    for (size_t i = 0; i < g.inputs.size(); ++i)
      if (g.info(g.inputs[i]).ranked) impl->inputs[i].shape = to_concrete(g.info(g.inputs[i]).shape);
    return ExecutionContext(std::move(impl));
  });
}

static int find_input(const Graph& g, std::string_view name) {
  for (size_t i = 0; i < g.inputs.size(); ++i)
    if (g.value(g.inputs[i]).name == name) return int(i);
  return -1;
}

static Status unknown_name(const Graph& g, std::string_view name, bool inputs, bool outputs) {
  std::vector<std::string> names;
  if (inputs)
    for (ValueId v : g.inputs) names.push_back(g.value(v).name);
  if (outputs) names.insert(names.end(), g.output_names.begin(), g.output_names.end());
  const std::string near = nearest(name, names);
  return invalid_argument("the model has no ", inputs && outputs ? "input or output" : inputs ? "input" : "output", " '", escape(name),
                          "'; it has: ", join(names, ", "), near.empty() ? "" : cat(" (did you mean '", near, "'?)"));
}

Result<size_t> ExecutionContext::Impl::find_output(std::string_view name) const {
  const auto& names = graph().output_names;
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return unknown_name(graph(), name, false, true);
  return size_t(at - names.begin());
}

Status ExecutionContext::set_input_shape(std::string_view name, std::span<const int64_t> shape) {
  return api::guarded([&]() -> Status {
    const Graph& g = impl_->graph();
    const int i = find_input(g, name);
    if (i < 0) return unknown_name(g, name, true, false);
    Shape wanted(shape.begin(), shape.end());
    if (num_elements(wanted) < 0) return invalid_argument("input '", escape(name), "' cannot have shape ", shape);
    SymbolValues symbols;
    TRY(symbols.match(g.info(g.inputs[size_t(i)]), wanted).with_prefix(cat("input '", escape(name), "': ")));
    impl_->inputs[size_t(i)].shape = std::move(wanted);
    return {};
  });
}

Status ExecutionContext::set_address(std::string_view name, void* data, int64_t bytes) {
  return api::guarded([&]() -> Status {
    const Graph& g = impl_->graph();
    const int i = find_input(g, name);
    auto output = impl_->find_output(name);
    if (i < 0 && !output.ok()) return unknown_name(g, name, true, true);
    // A name may belong to an input that is passed on as an output: the input is meant.
    Impl::Slot& slot = i >= 0 ? impl_->inputs[size_t(i)] : impl_->outputs[*output];
    auto memory = impl_->context->engine().device().owner_of(data);
    if (!memory.ok()) return memory.status().with_prefix(cat("'", escape(name), "': "));
    slot.data = data;
    slot.bytes = bytes;
    slot.memory = *memory;
    return {};
  });
}

// Wraps the caller's memory as output i, where its shape is known before the run.
Status ExecutionContext::Impl::place_output(size_t i, const SymbolValues& symbols, Tensor& out) const {
  const Graph& g = graph();
  const ValueInfo& info = g.info(g.outputs[i]);
  if (!outputs[i].data) return {};
  auto shape = symbols.eval(info);
  if (!shape) {
    if (outputs[i].bytes >= 0) return {};  // copied there after the run
    return Status(Code::invalid_argument, cat("the size of output '", escape(g.output_names[i]), "' depends on the data"),
                  "say how many bytes there are at its address, or give no address");
  }
  const int64_t need = byte_size(info.dtype, num_elements(*shape));
  if (outputs[i].bytes >= 0 && outputs[i].bytes < need)
    return invalid_argument("output '", escape(g.output_names[i]), "' takes ", need, " bytes, there is room for ", outputs[i].bytes);
  out = Tensor(info.dtype, *shape, Buffer::borrow(outputs[i].data, need, nullptr, outputs[i].memory));
  return {};
}

Status ExecutionContext::Impl::run() {
  const Graph& g = graph();
  SymbolValues symbols;
  std::vector<Tensor> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueInfo& info = g.info(g.inputs[i]);
    const std::string label = input_label(i);
    if (!inputs[i].shape) return Status(Code::invalid_argument, label + " has no shape yet", "set_input_shape");
    const int64_t need = byte_size(info.dtype, num_elements(*inputs[i].shape));
    if (!inputs[i].data && need > 0) return Status(Code::invalid_argument, label + " has no address yet", "set_address");
    if (inputs[i].bytes >= 0 && inputs[i].bytes < need)
      return invalid_argument(label, " takes ", need, " bytes, there are ", inputs[i].bytes, " at its address");
    TRY(symbols.match(info, *inputs[i].shape).with_prefix(label + ": "));
    given.emplace_back(info.dtype, *inputs[i].shape, Buffer::borrow(inputs[i].data, need, nullptr, inputs[i].memory));
  }
  results.assign(outputs.size(), Tensor());
  for (size_t i = 0; i < outputs.size(); ++i) TRY(place_output(i, symbols, results[i]));
  TRY(context->run(given, results, {.wait = false}));
  for (size_t i = 0; i < outputs.size(); ++i) TRY(deliver(i));
  return {};
}

// Copies output i, whose size only the run told, from the host's memory to its address.
Status ExecutionContext::Impl::deliver(size_t i) {
  Tensor& result = results[i];
  if (!outputs[i].data || result.data() == outputs[i].data) return {};
  const int64_t need = result.bytes();
  if (outputs[i].bytes < need)
    return invalid_argument("output '", escape(graph().output_names[i]), "' takes ", need, " bytes, there is room for ", outputs[i].bytes);
  if (outputs[i].memory == kHostMemory) {
    if (need) std::memcpy(outputs[i].data, result.data(), size_t(need));
  } else {
    TRY(context->engine().device().copy(context->stream(), outputs[i].data, result.data(), need, Copy::host_to_device));
  }
  result = Tensor(result.dtype(), result.shape(), Buffer::borrow(outputs[i].data, need, nullptr, outputs[i].memory));
  return {};
}

Result<MemoryUse> ExecutionContext::Impl::memory() const {
  std::vector<Shape> shapes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].shape) return Status(Code::invalid_argument, input_label(i) + " has no shape yet", "set_input_shape");
    shapes.push_back(*inputs[i].shape);
  }
  std::vector<bool> there;
  for (const Slot& slot : outputs) there.push_back(slot.data && slot.memory != kHostMemory);
  return catch_bad_alloc([&] { return context->executor().memory_for(shapes, there); });
}

Status ExecutionContext::enqueue(void* stream) {
  return api::guarded([&]() -> Status {
    TRY(impl_->context->stream().redirect(stream));
    return impl_->run();
  });
}

Status ExecutionContext::synchronize() {
  return api::guarded([&] { return impl_->context->synchronize(); });
}

Result<int64_t> ExecutionContext::device_memory_bytes() const {
  return api::guarded([&]() -> Result<int64_t> { return TRY(impl_->memory()).device; });
}

Result<int64_t> ExecutionContext::host_memory_bytes() const {
  return api::guarded([&]() -> Result<int64_t> { return TRY(impl_->memory()).host; });
}

Result<std::vector<int64_t>> ExecutionContext::output_shape(std::string_view name) const {
  return api::guarded([&]() -> Result<std::vector<int64_t>> {
    const size_t i = TRY(impl_->find_output(name));
    if (i >= impl_->results.size() || !impl_->results[i]) return invalid_argument("there has been no run yet");
    return impl_->results[i].shape();
  });
}

Result<const void*> ExecutionContext::output_data(std::string_view name) const {
  return api::guarded([&]() -> Result<const void*> {
    const size_t i = TRY(impl_->find_output(name));
    if (i >= impl_->results.size() || !impl_->results[i]) return invalid_argument("there has been no run yet");
    const Tensor& t = impl_->results[i];
    return t.data();
  });
}

int64_t ExecutionContext::workspace_bytes() const { return impl_->context->executor().planned_peak(); }
int64_t ExecutionContext::workspace_lower_bound() const { return impl_->context->executor().planned_lower_bound(); }

}  // namespace tenon
