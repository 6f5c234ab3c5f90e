// The backend contract, run half: what executes the kernels of an engine. docs/backends.md tells how a device uses it.
//
//   Device   a place with memory that can load kernels; shared by all engines and contexts on it
//   Kernel   one step of a plan, loaded; immutable, used by many contexts at once
//   Launch   a kernel bound to concrete shapes; belongs to one context
//   Stream   where launches are put in order; belongs to one context
#pragma once

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
};

class Stream {
 public:
  virtual ~Stream() = default;
  // Waits for all launches so far; reports what went wrong in any of them.
  virtual Status synchronize() = 0;
  // The host threads that launches may use; null where kernels do not run on the host.
  virtual ThreadPool* pool() { return nullptr; }
};

struct LaunchArgs {
  const void* const* inputs;  // as the node's inputs; null where absent
  void* const* outputs;       // as the node's outputs; null where absent
  void* scratch;              // scratch_bytes() of device memory, 64-byte aligned; contents undefined
  Stream& stream;
};

class Launch {
 public:
  virtual ~Launch() = default;
  virtual int64_t scratch_bytes() const { return 0; }
  // Puts the work on the stream; may return before it is done. Allocates nothing.
  virtual Status run(const LaunchArgs& args) = 0;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Inputs (bit i: input i) whose values bind() has to see: bounds, pads, sizes, axes. Where one is computed by the
  // network itself, binding waits until it is.
  virtual uint32_t value_inputs() const { return 0; }
  // Prepares for these shapes, to be run on this stream. Errors: invalid_argument when the kernel was not built for them.
  virtual Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc> inputs, std::span<const TensorDesc> outputs,
                                               Stream& stream) const = 0;
  // Whether this kernel can also run without knowing its output shapes: host tensors in, host tensors out. Only for
  // sizes that the data decides and for control flow.
  virtual bool can_run_dynamic() const { return false; }
  virtual Status run_dynamic(std::span<const Tensor> inputs, std::vector<Tensor>& outputs,
                             const RunSubgraph& run_subgraph) const;
};

// Where a kernel comes from, at load time: the node that it does (in the engine's graph) and what was compiled for it.
struct KernelSource {
  const Graph& graph;
  const Node& node;
  const KernelImage& image;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string description() const = 0;  // "AMD EPYC 9654, avx512, 2 threads"
  // Whether the host reads and writes this device's memory directly.
  virtual bool host_memory() const = 0;
  // Null when memory is exhausted. 64-byte aligned.
  virtual std::shared_ptr<Buffer> allocate(int64_t bytes) = 0;
  // Copies between host and device memory, in stream order; `to_device` false: from device to host.
  virtual Status copy(Stream& stream, void* to, const void* from, int64_t bytes, bool to_device) = 0;
  virtual Result<std::unique_ptr<Stream>> create_stream(int threads) = 0;
  virtual Result<std::unique_ptr<Kernel>> load(const KernelSource& source) = 0;
};

// Opens a backend's device for an engine built for `target` ("cpu:avx512", "cuda:sm_90a"). Errors: unavailable,
// incompatible, saying what does not fit.
Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal = 0);

}  // namespace tenon
