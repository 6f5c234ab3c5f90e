// The emulated GPU behind the driver's functions: what its handles point to, and its state.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "cuda_emulator/emulated_driver.h"
#include "cuda_emulator/memory.h"
#include "cuda_emulator/library.h"

namespace tenon::cuda {

using Work = std::function<Status()>;

struct DriverContext {
  int ordinal = 0;
};
struct DriverStream {
  int ordinal = 0;
  std::vector<Work> queue, captured;
  bool capturing = false;
  Status error;  // of work that somebody else waited for
};
struct DriverEvent {
  bool timed = true;
  double seconds = 0;
  DriverStream* stream = nullptr;  // where it was recorded
  std::shared_ptr<bool> reached;   // by the work of that stream
};
struct DriverGraph {
  std::vector<Work> work;
};
struct DriverGraphExec {
  std::vector<Work> work;
};
struct DriverFunction {
  const emulator::HostKernel* code;
  int max_dynamic_shared = 48 << 10;
};
struct DriverModule {
  std::shared_ptr<const emulator::KernelLibrary> module;
  std::map<std::string, DriverFunction> functions;
};

}  // namespace tenon::cuda

namespace tenon::emulator {

// Results, as the driver numbers them.
constexpr int kInvalidValue = 1, kNoContext = 201, kInvalidHandle = 400, kCaptureUnsupported = 900;
// No number of the driver's: what went wrong is in the text.
constexpr int kEmulatorError = 90001;
constexpr int kIllegalAddress = 700;

constexpr int kMostGpus = 4;

// The GPUs of the machine, of one kind. Whatever happens on them happens under one lock: one kernel at a time.
struct Gpu {
  Gpu() {
    for (int i = 0; i < kMostGpus; ++i) {
      contexts[i].ordinal = legacy[i].ordinal = i;
      streams.insert(&legacy[i]);
    }
  }
  std::recursive_mutex mutex;
  std::unique_ptr<Memory> memory = Memory::create();
  cuda::DriverContext contexts[kMostGpus];
  int count = 1;
  cuda::Chip chip;
  std::string error;                // what kEmulatorError was the last time
  std::map<char*, int64_t> pinned;  // host memory: begin, bytes
  cuda::DriverStream legacy[kMostGpus];  // each GPU's default stream
  std::set<cuda::DriverStream*> streams;
  Order order = Order::forwards;
  bool faults_are_fatal = false, dead = false;
  DriverCounts counts;
};
Gpu& gpu();
using Lock = std::lock_guard<std::recursive_mutex>;

// 0, or kEmulatorError with this error's words.
int failed(const Status& s);
// The GPU of this thread's current context; negative where there is none.
int current_gpu();
inline bool no_context() { return current_gpu() < 0; }
// The stream of a handle, which may be CU_STREAM_LEGACY, the default stream of the current context; null for a handle that is
// none. Null itself is one to the driver, but nobody here means that. REQUIRES: the lock.
cuda::DriverStream* find_stream(cuda::StreamHandle s);
// The GPU that it belongs to; negative where there is none.
int gpu_of(cuda::StreamHandle s);
// Where bytes of that GPU lie; the memory of another is out of its reach.
Result<char*> reach(int ordinal, const void* address, int64_t bytes);
inline void* address(cuda::DevicePtr p) { return reinterpret_cast<void*>(p); }

// Puts work on a stream, or into what it captures.
int enqueue(cuda::StreamHandle s, cuda::Work work);
// Does what was put on the stream; an error ends it.
void drain(cuda::DriverStream& s);

// The driver's functions, by the names that the table has for them here, and by the driver's own for the linker: a library of
// these is a libcuda.so.
namespace calls {
using namespace cuda;
#define X(name, symbol, params) int name params __asm__(#symbol);
TENON_CUDA_FUNCTIONS(X)
#undef X
}  // namespace calls

}  // namespace tenon::emulator
