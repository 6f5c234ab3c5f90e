// The backend contract, run half: what executes the kernels of an engine. docs/backends.md tells how a device uses it.
//
//   Device   a place with memory that can load kernels; shared by all engines and contexts on it
//   Kernel   one step of a plan, loaded; immutable, used by many contexts at once
//   Launch   a kernel bound to concrete shapes; belongs to one context
//   Stream   where launches are put in order; belongs to one context
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "engine/kernel_image.h"
#include "ir/graph.h"

namespace tenon {

// A concrete operand.
struct TensorDesc {
  DType dtype = DType::none;  // none: absent
  Shape shape;
  // The value, in host memory, where it is known before the run (a constant, or shape arithmetic); else null.
  const void* value = nullptr;
  // Elements from a row of the last dimension to the next; 0: they follow each other. Only of an output whose kernel's
  // image says strides_output.
  int64_t pitch = 0;
};

// What a stream recorded, to be run again at a fraction of the cost of its single launches. The addresses are those of
// the recording. Belongs to the stream's context.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual Status replay() = 0;  // may return before the work is done, like Launch::run
};

// A point in a stream's work, for telling how long the work between two of them took. Must not outlive its stream.
class Mark {
 public:
  virtual ~Mark() = default;
  // Seconds of the device's own clock from `earlier`, a mark of the same stream, to this one; waits until both are reached.
  virtual Result<double> seconds_since(const Mark& earlier) = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;
  // Waits for all launches so far; reports what went wrong in any of them.
  virtual Status synchronize() = 0;
  // A mark behind all launches so far. Not between begin_recording() and end_recording().
  virtual Result<std::unique_ptr<Mark>> mark() = 0;
  // The host threads that launches may use; null where kernels do not run on the host.
  virtual ThreadPool* pool() { return nullptr; }
  // Where devices have streams that their users share (a CUstream). Work from now on goes to the caller's stream, behind all
  // work so far; null: to this one's own again. The caller's must live until its work was waited for, or till the next redirect().
  virtual Status redirect(void* handle);
  // Work from now on starts when what is on the caller's stream by now is done.
  virtual Status wait_for(void* handle);
  // What the device's driver calls the stream that work goes to; null where there is no such thing.
  virtual void* handle() const { return nullptr; }
  // Between these two, launches and copies within the device are noted, not done. Only where can_record() says so.
  virtual bool can_record() const { return false; }
  virtual Status begin_recording();
  virtual Result<std::unique_ptr<Recording>> end_recording();
  // After hold() work only queues up, until release() or synchronize(), so that what comes after a mark need not wait for
  // the host. Nothing to do where launches are done when they return. A queue is not endless: release it after kMostHeld
  // launches and marks.
  static constexpr int kMostHeld = 256;
  virtual Status hold() { return {}; }
  virtual Status release() { return {}; }
};

struct LaunchArgs {
  const void* const* inputs;  // as the node's inputs; null where absent
  void* const* outputs;       // as the node's outputs; null where absent
  void* scratch;              // scratch_bytes() of device memory, 64-byte aligned; contents undefined
  Stream& stream;
  int64_t* count = nullptr;   // of a kernel that counts(): where, in the device's memory, it writes how many it has found
};

class Launch {
 public:
  virtual ~Launch() = default;
  virtual int64_t scratch_bytes() const { return 0; }
  // Puts the work on the stream; may return before it is done. Allocates nothing.
  virtual Status run(const LaunchArgs& args) = 0;
  // Of a kernel that counts(): its results' shapes if it has found `count`. Errors: data_loss, more than there can be.
  virtual Result<std::vector<Shape>> counted(int64_t count) const;
};

// Bytes in a device's memory, by address. Kernels with equal weights share them, so each address counts once.
using HeldMemory = std::map<const void*, int64_t>;

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Inputs (bit i: input i) whose values bind() has to see: bounds, pads, sizes, axes. Where one is computed by the
  // network itself, binding waits until it is.
  virtual uint32_t value_inputs() const { return 0; }
  // Inputs of which it reads nothing but the shape, such as the sizes that an Expand is given: they may stand in any memory.
  virtual uint32_t unread_inputs() const { return 0; }
  // Prepares for these shapes, to be run on this stream. Errors: invalid_argument when the kernel was not built for them.
  virtual Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc> inputs, std::span<const TensorDesc> outputs,
                                               Stream& stream) const = 0;
  // Whether the data decides how large its results are, and it finds out on the device: it is bound to the largest() shapes,
  // its launches write the results densely as they are, and to LaunchArgs::count a number that gives their shapes.
  virtual bool counts() const { return false; }
  // Of a kernel that counts(): the largest shapes that its results can have for these inputs.
  virtual Result<std::vector<Shape>> largest(std::span<const TensorDesc> inputs) const;
  // Whether this kernel can also run without knowing its output shapes: host tensors in, host tensors out. Only for
  // sizes that the data decides and for control flow.
  virtual bool can_run_dynamic() const { return false; }
  virtual Status run_dynamic(std::span<const Tensor> inputs, std::vector<Tensor>& outputs,
                             const RunSubgraph& run_subgraph) const;
  // Adds what it keeps in the memory of its device, where that is not the host's: weights, machine code.
  virtual void list_memory(HeldMemory& out) const {}
};

// Where a kernel comes from, at load time: the node that it does (in the engine's graph) and what was compiled for it.
struct KernelSource {
  const Graph& graph;
  const Node& node;
  const KernelImage& image;
};

// What a device can do at most in a second, which a kernel's time is held against. 0: not known.
struct Peaks {
  std::string source;     // where the figures are from: "measured", "132 SMs at 1.98 GHz, 6144 bits at 3.20 GHz"
  double bytes = 0;       // from and to memory
  double arithmetic = 0;  // flop outside of sums of products, in f32
  // Flop in sums of products by the type of the factors. f16 is bf16's too, f8 and i8 those of all types of 8 bits.
  double f64 = 0, f32 = 0, tf32 = 0, f16 = 0, f8 = 0, i8 = 0;

  double products(DType factors, bool round_to_tf32 = false) const;
};

// From where to where Device::copy copies; `device` is this device's own memory.
enum class Copy : uint8_t { host_to_device, device_to_host, device_to_device };

// A device by DLPack's numbers: {1, 0} is the host, {2, n} NVIDIA's n-th GPU of this process.
struct DLPackDevice {
  int type = 1, id = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string description() const = 0;  // "AMD EPYC 9654, avx512, 2 threads"
  // kHostMemory where the host reads and writes this device's memory directly; else a number that no other device of
  // this process has.
  virtual MemoryId memory() const { return kHostMemory; }
  virtual DLPackDevice dlpack_device() const { return {}; }
  // Whose memory an address of the caller's is: kHostMemory or memory(). Errors: invalid_argument, another device's.
  virtual Result<MemoryId> owner_of(const void* address) const { return kHostMemory; }
  // Buffers of memory(), 64-byte aligned. Null when memory is exhausted.
  virtual std::shared_ptr<Buffer> allocate(int64_t bytes) = 0;
  // A constant in memory(), not to be written. Equal bytes may be there once, for all who hold them. Errors: out_of_memory.
  Result<std::shared_ptr<Buffer>> upload(const Tensor& constant);
  // The same for several, which may lie side by side in one allocation.
  virtual Result<std::vector<std::shared_ptr<Buffer>>> upload_all(std::span<const Tensor> constants);
  // Kernels of these images are going to be loaded: their weights may come to the device together, and wait there for load()
  // as long as the result is kept. Errors: out_of_memory.
  virtual Result<std::shared_ptr<void>> prepare_load(std::span<const KernelImage* const> images);
  // What allocate(bytes) takes of the device's memory.
  virtual int64_t allocation_bytes(int64_t bytes) const { return bytes; }
  // Adds the allocation that a buffer of memory() lies in.
  virtual void list_memory(const Buffer& buffer, HeldMemory& out) const { out[buffer.data()] = allocation_bytes(buffer.size()); }
  // Host memory from which copies to this device need not wait for staging. Null when memory is exhausted.
  virtual std::shared_ptr<Buffer> allocate_staging(int64_t bytes) { return Buffer::allocate(bytes); }
  // Copies in stream order; zero bytes are legal. From the host: the source may be written again when this returns,
  // unless it is staging memory. To the host: there after Stream::synchronize.
  virtual Status copy(Stream& stream, void* to, const void* from, int64_t bytes, Copy direction) = 0;
  // `threads`, at least 1, is for devices whose kernels run on the host.
  virtual Result<std::unique_ptr<Stream>> create_stream(int threads) = 0;
  // Waits for all work on the device, whoever put it there.
  virtual Status synchronize() { return {}; }
  virtual Result<std::unique_ptr<Kernel>> load(const KernelSource& source) = 0;
  // May measure, for a tenth of a second at most. `stream` is one of create_stream() that nothing is on.
  virtual Result<Peaks> peaks(Stream& stream);
};

// The backend of a target: "cuda" of "cuda:sm_90a".
std::string backend_of(const std::string& target);
// Opens a backend's device for an engine built for `target` ("cpu:avx512", "cuda:sm_90a"). Errors: unavailable,
// incompatible, saying what does not fit.
Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal = 0);
// The backends there are, whether this machine has such a device or not: "cpu", "cuda", "reference".
std::vector<std::string> device_names();
// Whether this machine has one; if not, why and what to do.
Status device_state(const std::string& device);

// A device as users name it: "cuda:1" is the second of its kind. Errors: invalid_argument.
struct DeviceChoice {
  std::string name;
  int ordinal = 0;
};
Result<DeviceChoice> parse_device(const std::string& text);
// The best target for that device of this machine; "" for a kind of which there is only one. Errors: unavailable, saying how
// many there are.
Result<std::string> target_of(const DeviceChoice& choice);
Status unknown_device(const std::string& device);
// The target that takes over nodes for which a backend has no kernel; null: it has one for every node.
const char* fallback_of(const std::string& device);

// The devices of an engine by the backend's name (KernelImage::backend): its own first, then those whose kernels take over
// what it has none for, as create_compilers has them; these run on the host.
struct NamedDevice {
  std::string backend;
  std::shared_ptr<Device> device;
};
using Devices = std::vector<NamedDevice>;
Result<Devices> open_devices(const std::string& target, int ordinal = 0);

}  // namespace tenon
