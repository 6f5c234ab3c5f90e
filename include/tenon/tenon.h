// Tenon's C++ API: build an engine from an ONNX model, load it, run it.
//
//   auto file = tenon::Builder("cpu").parse("m.onnx").optimization_profile({{"x", {{1, 8, 64}, 3, 224, 224}}}).build();
//   auto engine = tenon::Runtime().load(*file);
//   auto context = engine->create_context();
//   context->set_input_shape("x", {8, 3, 224, 224});
//   context->set_address("x", input.data());
//   context->set_address("y", output.data());
//   context->enqueue();
//   context->synchronize();
//
// No exception crosses this API: every call that can fail returns a Status or a Result with code, message and remedy.
// Sizes are in bytes where they say so, shapes in elements; tensors are dense and row-major.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/status.h"

namespace tenon {

const char* version();  // "0.1.0"

// Element types; the numbers are those of onnx.TensorProto.DataType.
enum class DataType : uint8_t {
  none = 0, float32 = 1, uint8 = 2, int8 = 3, uint16 = 4, int16 = 5, int32 = 6, int64 = 7, boolean = 9, float16 = 10,
  float64 = 11, uint32 = 12, uint64 = 13, bfloat16 = 16, float8_e4m3fn = 17, float8_e4m3fnuz = 18, float8_e5m2 = 19,
  float8_e5m2fnuz = 20, uint4 = 21, int4 = 22, float4_e2m1 = 23, float8_e8m0 = 24, uint2 = 25, int2 = 26,
  float6_e2m3 = 27, float6_e3m2 = 28,
};
const char* data_type_name(DataType type);                 // "f32"
// Bytes of that many elements; types under 8 bits are packed, low bits first.
int64_t data_type_bytes(DataType type, int64_t elements);

// A dimension that an engine must serve: kernels are chosen at `opt`, all sizes in [min, max] work.
struct Range {
  int64_t min, opt, max;
  Range(int64_t size) : min(size), opt(size), max(size) {}
  Range(int64_t min, int64_t opt, int64_t max) : min(min), opt(opt), max(max) {}
};
// The shapes of a profile: input name to one range a dimension.
using Shapes = std::map<std::string, std::vector<Range>>;

// An input or output. Dimensions that are free have their formula as text ("batch", "2*seq+1"); fixed ones digits.
struct TensorInfo {
  std::string name;
  DataType type = DataType::none;
  bool ranked = true;               // false: not even the number of dimensions is known before a run
  std::vector<std::string> dims;
  bool is_fixed() const;            // all dimensions are numbers
};

// A built engine: bytes, in memory or in a file. Cheap to copy (shared, immutable). Safe on any thread.
class EngineFile {
 public:
  // Maps a file. Errors: not_found, io. What the bytes hold is checked by Runtime::load.
  static Result<EngineFile> open(const std::string& path);

  std::span<const uint8_t> bytes() const;
  // Writes the file whole or not at all. Errors: io.
  Status save(const std::string& path) const;
  // The manifest's JSON text: target, inputs, outputs, profiles; needs no device. Errors: data_loss, incompatible.
  Result<std::string> manifest() const;
  // The build report's JSON text: passes, kernels and, of each node without one, why. Errors: as manifest().
  Result<std::string> report() const;

  struct Impl;
  explicit EngineFile(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<const Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// Builds an engine from one model. Calls are remembered; what is wrong in any of them, build() says. One thread at a
// time; several builders may run at once.
class Builder {
 public:
  // "cpu", "reference", "cuda"; "cuda:1" builds for what the second GPU of this machine is.
  explicit Builder(std::string device = "cpu");
  ~Builder();
  Builder(Builder&&) noexcept;
  Builder& operator=(Builder&&) noexcept;

  Builder& parse(const std::string& path);
  // The bytes must live until build() returns. `folder` holds external data; "": there is none.
  Builder& parse_bytes(std::span<const uint8_t> bytes, const std::string& folder = "");
  // The shapes to build for; call again for further profiles. Inputs that are not named keep what the model says.
  Builder& optimization_profile(const Shapes& shapes);
  Builder& precision(const std::string& precision);   // "fp32"; on GPUs "tf32", "fp16" and "bf16" too
  // Type of the inputs and outputs whose names match ("*" and "?"), instead of the model's: fp32, fp16, bf16 for floats,
  // int32, int64 for integers. Of several calls that match, the last.
  Builder& io_type(const std::string& pattern, const std::string& type);
  // Nodes whose name, operator or result matches stay fp32, or move to the precision whatever its rules say.
  Builder& pin(const std::string& pattern, const std::string& type);
  Builder& target(const std::string& target);         // "cpu:avx2" instead of this machine
  Builder& model_name(const std::string& name);
  Builder& golden(bool keep);                         // keep expected outputs in the engine; default true
  // How much is measured to choose kernels: 0 nothing, the cost model decides; 1 to 5 a growing number of candidates, and
  // what the tuning database knows. Default: 2 where the target's device is at hand, else 0.
  Builder& effort(int effort);
  Builder& budget(double seconds);                    // the most time that this takes; default 60
  Builder& tuning_db(const std::string& path);        // default tuning.txt in the user's cache folder
  // Called as the build goes on, on its thread; `total` is 0 where steps are not counted. Returning false stops it.
  Builder& on_progress(std::function<bool(std::string_view stage, int64_t done, int64_t total)> call);

  // Errors: not_found, io; invalid_model; unsupported, listing every node that cannot be run; invalid_argument for
  // options that do not fit the model; no_kernel; unavailable; cancelled; out_of_memory.
  Result<EngineFile> build();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Contexts belong to one thread at a time; contexts of one engine run at once on different threads and share all that
// does not change.
class ExecutionContext {
 public:
  ~ExecutionContext();
  ExecutionContext(ExecutionContext&&) noexcept;
  ExecutionContext& operator=(ExecutionContext&&) noexcept;

  // Needed once for each input whose shape is not fixed. Errors: invalid_argument for an unknown name or a shape that
  // the engine was not built for.
  Status set_input_shape(std::string_view name, std::span<const int64_t> shape);
  Status set_input_shape(std::string_view name, std::initializer_list<int64_t> shape) {
    return set_input_shape(name, std::span<const int64_t>(shape.begin(), shape.size()));
  }
  // Where an input is read or an output written: the host's memory or that of the engine's device, which is found out here,
  // aligned to its elements; on a GPU what is not aligned to 16 bytes is copied. It must live, and what is read stay as it is, until the runs that follow are
  // done. `bytes` is the room there; -1: enough, the caller promises. An output without an address is kept by the context,
  // on the host (output_data). An output whose size the data decides needs `bytes`, or no address.
  // Errors: invalid_argument for an unknown name, and for memory of another device.
  Status set_address(std::string_view name, void* data, int64_t bytes = -1);
  Status set_address(std::string_view name, const void* data, int64_t bytes = -1) {
    return set_address(name, const_cast<void*>(data), bytes);
  }
  // Puts a run on a stream of the engine's device, in order with what the caller puts there: a CUstream or cudaStream_t, which
  // must live until the run is done; null is the context's own, and CUDA's default stream is cudaStreamLegacy, not null. It does
  // not wait for the run where all outputs have addresses on the device; an output that comes to the host has arrived when
  // it returns. Another stream than the last run's makes this run wait for that one, on the device: a context has one
  // workspace, so runs that are to overlap need a context each.
  // On a CPU it runs at once, and there are no other streams. Errors: invalid_argument (an input without shape or address,
  // too little room, no streams); out_of_memory; internal.
  Status enqueue(void* stream = nullptr);
  // Waits for the runs; says what went wrong in any of them.
  Status synchronize();

  // What runs of the shapes that are set take, beside the engine's own memory and what lies at the addresses: workspace, and room
  // on the device for outputs that have no address there. Known before the first run; outputs whose size the data decides
  // are not counted. Errors: as enqueue().
  Result<int64_t> device_memory_bytes() const;
  Result<int64_t> host_memory_bytes() const;

  // Of an output, after the run: its shape, and where it lies (until the next run), on the device only if its address does.
  Result<std::vector<int64_t>> output_shape(std::string_view name) const;
  Result<const void*> output_data(std::string_view name) const;
  // Bytes of intermediate memory that the last run planned, and the least that any plan could do with.
  int64_t workspace_bytes() const;
  int64_t workspace_lower_bound() const;

 private:
  friend class Engine;
  struct Impl;
  explicit ExecutionContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// An engine on a device. Immutable; cheap to copy (shared). Safe on any thread. Contexts keep it alive.
class Engine {
 public:
  const std::vector<TensorInfo>& inputs() const;
  const std::vector<TensorInfo>& outputs() const;
  const std::string& name() const;        // the model's
  const std::string& target() const;      // "cpu:avx512"
  const std::string& precision() const;
  std::string device() const;             // in words
  const std::map<std::string, std::string>& metadata() const;  // the model's metadata_props
  // What it takes, contexts not counted: weights and machine code on a device with memory of its own (0 where that is the
  // host's); on the host the engine file, which is mapped, so that only what is read of it takes memory.
  int64_t device_memory_bytes() const;
  int64_t host_memory_bytes() const;

  // `threads`: host threads of a run; 0: one for each core. `workspace_bytes`: the most intermediate memory a run may
  // take; 0: no limit. Errors: invalid_argument, unavailable.
  Result<ExecutionContext> create_context(int threads = 0, int64_t workspace_bytes = 0) const;

 private:
  friend class Runtime;
  struct Impl;
  explicit Engine(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Loads engines onto one device.
class Runtime {
 public:
  // Which device of the kind that the engine was built for; engines on several may be open and run at once.
  explicit Runtime(int ordinal = 0) : ordinal_(ordinal) {}

  // The file stays mapped; weights are shared with other processes. Errors: not_found, io; data_loss (damaged, or no
  // engine); incompatible (another version or another device); unavailable; each with what to do.
  Result<Engine> load(const std::string& path) const;
  Result<Engine> load(const EngineFile& file) const;

 private:
  int ordinal_;
};

}  // namespace tenon
