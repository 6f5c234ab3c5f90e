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

struct DriverContext {};
struct DriverStream {
  std::vector<Work> queue, captured;
  bool capturing = false;
  Status error;  // of work that somebody else waited for
};
struct DriverEvent {
  double seconds = 0;
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

// Whatever happens on the GPU happens under its lock: one kernel at a time.
struct Gpu {
  std::recursive_mutex mutex;
  std::unique_ptr<Memory> memory = Memory::create();
  cuda::DriverContext context;
  cuda::Chip chip;
  std::string error;                // what kEmulatorError was the last time
  std::map<char*, int64_t> pinned;  // host memory: begin, bytes
  std::set<cuda::DriverStream*> streams;
  Order order = Order::forwards;
  bool faults_are_fatal = false, dead = false;
  DriverCounts counts;
};
Gpu& gpu();
using Lock = std::lock_guard<std::recursive_mutex>;

// 0, or kEmulatorError with this error's words.
int failed(const Status& s);
// Whether this thread has no current context.
bool no_context();
inline void* address(cuda::DevicePtr p) { return reinterpret_cast<void*>(p); }

// Puts work on a stream, or into what it captures.
int enqueue(cuda::StreamHandle s, cuda::Work work);
// Does what was put on the stream; an error ends it.
void drain(cuda::DriverStream& s);

// The driver's functions, by the names that the table has for them.
namespace calls {
using namespace cuda;
#define X(name, symbol, params) int name params;
TENON_CUDA_FUNCTIONS(X)
#undef X
}  // namespace calls

}  // namespace tenon::emulator
