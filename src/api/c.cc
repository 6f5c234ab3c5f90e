// The C API, on top of the C++ API.
#include "tenon/c/tenon.h"

#include <cstring>

#include "api/api.h"
#include "compiler/shapes.h"

using namespace tenon;

struct tenon_status {
  Status status;
};
struct tenon_engine_file {
  EngineFile file;
};
struct tenon_engine {
  Engine engine;
  std::vector<std::vector<const char*>> input_dims, output_dims;
};
struct tenon_context {
  ExecutionContext context;
  std::vector<TensorInfo> outputs;
  std::vector<int64_t> shape;  // of the output asked for last
};

// When even the status of a failure finds no memory.
static tenon_status no_memory{Status(Code::out_of_memory, "out of memory")};

static tenon_status* wrap(const Status& status) {
  if (status.ok()) return nullptr;
  auto* out = new (std::nothrow) tenon_status{status};
  return out ? out : &no_memory;
}

template <class Work>
static tenon_status* guarded(Work work) {
  return wrap(api::guarded([&]() -> Status { return work(); }));
}

// The caller's struct as ours: what its header did not know yet is zero.
template <class T>
static T read_options(const T* given) {
  T out{};
  if (given) std::memcpy(&out, given, std::min(given->struct_size, sizeof out));
  return out;
}

// Fills in as much as the caller's struct has room for; its size stays.
template <class T>
static Status write_struct(T filled, T* to) {
  if (!to || to->struct_size < sizeof(size_t)) return invalid_argument("struct_size is not set");
  filled.struct_size = to->struct_size;
  std::memcpy(to, &filled, std::min(to->struct_size, sizeof filled));
  return {};
}

static Status required(std::initializer_list<const void*> arguments) {
  for (const void* a : arguments)
    if (!a) return invalid_argument("an argument is null");
  return {};
}

extern "C" {

const char* tenon_version(void) { return version(); }
const char* tenon_data_type_name(int32_t type) { return type < 0 || type >= kNumDTypes ? "none" : data_type_name(DataType(type)); }
int64_t tenon_data_type_bytes(int32_t type, int64_t elements) {
  return type < 0 || type >= kNumDTypes ? -1 : data_type_bytes(DataType(type), elements);
}

tenon_code tenon_status_code(const tenon_status* status) { return status ? tenon_code(status->status.code()) : TENON_OK; }
const char* tenon_status_message(const tenon_status* status) { return status ? status->status.message().c_str() : "ok"; }
const char* tenon_status_remedy(const tenon_status* status) { return status ? status->status.remedy().c_str() : ""; }
void tenon_status_destroy(tenon_status* status) {
  if (status != &no_memory) delete status;
}

static Status build(Builder& builder, const tenon_build_options& o, tenon_engine_file** out) {
  if (o.target) builder.target(o.target);
  if (o.precision) builder.precision(o.precision);
  builder.golden(!o.no_golden);
  for (size_t i = 0; i < o.num_shapes; ++i) {
    TRY(required({o.shapes, o.shapes ? o.shapes[i] : nullptr}));
    const ShapeSpec spec = TRY(parse_shape_spec(o.shapes[i]));
    std::vector<Range> dims;
    for (const DimRange& r : spec.dims) dims.emplace_back(r.min, r.opt, r.max);
    builder.optimization_profile({{spec.input, dims}});
  }
  const auto each_pair = [](const char* const* texts, size_t n, const auto& take) -> Status {
    for (size_t i = 0; i < n; ++i) {
      TRY(required({texts, texts ? texts[i] : nullptr}));
      const std::string text = texts[i];
      const size_t equals = text.rfind('=');
      if (equals == text.npos) return invalid_argument("'", escape(text), "' is not NAME=TYPE");
      take(text.substr(0, equals), text.substr(equals + 1));
    }
    return {};
  };
  TRY(each_pair(o.io_types, o.num_io_types, [&](const std::string& name, const std::string& type) { builder.io_type(name, type); }));
  TRY(each_pair(o.pins, o.num_pins, [&](const std::string& name, const std::string& type) { builder.pin(name, type); }));
  if (o.effort) builder.effort(*o.effort);
  if (o.budget > 0) builder.budget(o.budget);
  if (o.tuning_db) builder.tuning_db(o.tuning_db);
  if (o.progress)
    builder.on_progress([&o](std::string_view stage, int64_t done, int64_t total) {
      return o.progress(std::string(stage).c_str(), done, total, o.user_data) != 0;
    });
  *out = new tenon_engine_file{TRY(builder.build())};
  return {};
}

tenon_status* tenon_build_file(const char* path, const tenon_build_options* options, tenon_engine_file** out) {
  return guarded([&]() -> Status {
    TRY(required({path, out}));
    const auto o = read_options(options);
    Builder builder(o.device ? o.device : "cpu");
    return build(builder.parse(path), o, out);
  });
}

tenon_status* tenon_build_bytes(const void* data, size_t bytes, const char* folder, const tenon_build_options* options,
                                tenon_engine_file** out) {
  return guarded([&]() -> Status {
    TRY(required({data, out}));
    const auto o = read_options(options);
    Builder builder(o.device ? o.device : "cpu");
    return build(builder.parse_bytes({static_cast<const uint8_t*>(data), bytes}, folder ? folder : ""), o, out);
  });
}

tenon_status* tenon_engine_file_open(const char* path, tenon_engine_file** out) {
  return guarded([&]() -> Status {
    TRY(required({path, out}));
    *out = new tenon_engine_file{TRY(EngineFile::open(path))};
    return {};
  });
}

tenon_status* tenon_engine_file_save(const tenon_engine_file* file, const char* path) {
  return guarded([&]() -> Status {
    TRY(required({file, path}));
    return file->file.save(path);
  });
}

const void* tenon_engine_file_data(const tenon_engine_file* file, size_t* bytes) {
  if (bytes) *bytes = file ? file->file.bytes().size() : 0;
  return file ? file->file.bytes().data() : nullptr;
}

void tenon_engine_file_destroy(tenon_engine_file* file) { delete file; }

static std::vector<std::vector<const char*>> dim_texts(const std::vector<TensorInfo>& values) {
  std::vector<std::vector<const char*>> out;
  for (const TensorInfo& v : values) {
    out.emplace_back();
    for (const std::string& d : v.dims) out.back().push_back(d.c_str());
  }
  return out;
}

static Status load(const EngineFile& file, const tenon_load_options* options, tenon_engine** out) {
  auto* e = new tenon_engine{TRY(Runtime(read_options(options).ordinal).load(file)), {}, {}};
  e->input_dims = dim_texts(e->engine.inputs());
  e->output_dims = dim_texts(e->engine.outputs());
  *out = e;
  return {};
}

tenon_status* tenon_engine_load(const char* path, const tenon_load_options* options, tenon_engine** out) {
  return guarded([&]() -> Status {
    TRY(required({path, out}));
    return load(TRY(EngineFile::open(path)), options, out).with_prefix(cat("'", path, "': "));
  });
}

tenon_status* tenon_engine_load_file(const tenon_engine_file* file, const tenon_load_options* options, tenon_engine** out) {
  return guarded([&]() -> Status {
    TRY(required({file, out}));
    return load(file->file, options, out);
  });
}

void tenon_engine_destroy(tenon_engine* engine) { delete engine; }
size_t tenon_engine_num_inputs(const tenon_engine* engine) { return engine ? engine->engine.inputs().size() : 0; }
size_t tenon_engine_num_outputs(const tenon_engine* engine) { return engine ? engine->engine.outputs().size() : 0; }

static Status tell(const std::vector<TensorInfo>& values, const std::vector<std::vector<const char*>>& dims, size_t index,
                   tenon_tensor_info* out) {
  if (index >= values.size()) return invalid_argument("there are ", values.size(), ", the index is ", index);
  const TensorInfo& v = values[index];
  return write_struct({0, v.name.c_str(), int32_t(v.type), v.ranked ? int32_t(v.dims.size()) : -1, dims[index].data()}, out);
}

tenon_status* tenon_engine_input(const tenon_engine* engine, size_t index, tenon_tensor_info* out) {
  return guarded([&]() -> Status {
    TRY(required({engine, out}));
    return tell(engine->engine.inputs(), engine->input_dims, index, out);
  });
}

tenon_status* tenon_engine_output(const tenon_engine* engine, size_t index, tenon_tensor_info* out) {
  return guarded([&]() -> Status {
    TRY(required({engine, out}));
    return tell(engine->engine.outputs(), engine->output_dims, index, out);
  });
}

tenon_status* tenon_engine_memory(const tenon_engine* engine, tenon_memory* out) {
  return guarded([&]() -> Status {
    TRY(required({engine, out}));
    return write_struct({0, engine->engine.device_memory_bytes(), engine->engine.host_memory_bytes()}, out);
  });
}

tenon_status* tenon_context_create(const tenon_engine* engine, const tenon_context_options* options, tenon_context** out) {
  return guarded([&]() -> Status {
    TRY(required({engine, out}));
    const auto o = read_options(options);
    *out = new tenon_context{TRY(engine->engine.create_context(o.threads, o.workspace_bytes)), engine->engine.outputs(), {}};
    return {};
  });
}

void tenon_context_destroy(tenon_context* context) { delete context; }

tenon_status* tenon_context_set_input_shape(tenon_context* context, const char* name, const int64_t* shape, size_t rank) {
  return guarded([&]() -> Status {
    TRY(required({context, name}));
    if (rank) TRY(required({shape}));
    return context->context.set_input_shape(name, std::span<const int64_t>(shape, rank));
  });
}

tenon_status* tenon_context_set_address(tenon_context* context, const char* name, void* data, int64_t bytes) {
  return guarded([&]() -> Status {
    TRY(required({context, name}));
    return context->context.set_address(name, data, bytes);
  });
}

tenon_status* tenon_context_enqueue(tenon_context* context, void* stream) {
  return guarded([&]() -> Status {
    TRY(required({context}));
    return context->context.enqueue(stream);
  });
}

tenon_status* tenon_context_synchronize(tenon_context* context) {
  return guarded([&]() -> Status {
    TRY(required({context}));
    return context->context.synchronize();
  });
}

tenon_status* tenon_context_memory(const tenon_context* context, tenon_memory* out) {
  return guarded([&]() -> Status {
    TRY(required({context, out}));
    return write_struct({0, TRY(context->context.device_memory_bytes()), TRY(context->context.host_memory_bytes())}, out);
  });
}

tenon_status* tenon_context_output(tenon_context* context, const char* name, tenon_output* out) {
  return guarded([&]() -> Status {
    TRY(required({context, name, out}));
    context->shape = TRY(context->context.output_shape(name));
    const void* data = TRY(context->context.output_data(name));
    DataType type = DataType::none;
    for (const TensorInfo& v : context->outputs)
      if (v.name == name) type = v.type;
    return write_struct({0, int32_t(type), int32_t(context->shape.size()), context->shape.data(), data,
                         data_type_bytes(type, num_elements(context->shape))}, out);
  });
}

}  // extern "C"
