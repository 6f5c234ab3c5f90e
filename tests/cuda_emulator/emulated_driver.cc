#include "cuda_emulator/emulated_driver.h"

#include <cstdio>
#include <cstdlib>

#include "cuda_emulator/gpu.h"

namespace tenon::emulator {

static thread_local std::vector<cuda::Context> contexts_of_thread;

Gpu& gpu() {
  // Never destroyed: devices that live until the program ends still call it.
  static Gpu& g = *[] {
    auto* made = new Gpu;
    made->chip = *cuda::chip_of_target("cuda:sm_90a");
    const char* named = std::getenv("TENON_EMULATOR_ORDER");
    if (named && std::string(named) == "backwards") made->order = Order::backwards;
    CHECK(made->memory != nullptr);
    return made;
  }();
  return g;
}

int failed(const Status& s) {
  if (s.ok()) return 0;
  Lock lock(gpu().mutex);
  gpu().error = s.message();
  return kEmulatorError;
}

int current_gpu() { return contexts_of_thread.empty() ? -1 : contexts_of_thread.back()->ordinal; }

cuda::DriverStream* find_stream(cuda::StreamHandle s) {
  if (s == reinterpret_cast<cuda::StreamHandle>(1)) return no_context() ? nullptr : &gpu().legacy[current_gpu()];
  return gpu().streams.contains(s) ? s : nullptr;
}

int gpu_of(cuda::StreamHandle s) {
  Lock lock(gpu().mutex);
  const cuda::DriverStream* found = find_stream(s);
  return found ? found->ordinal : -1;
}

Result<char*> reach(int ordinal, const void* address, int64_t bytes) {
  char* at = TRY(gpu().memory->translate(address, bytes));
  const int owner = gpu().memory->owner_of(address);
  if (owner != ordinal) return invalid_argument("GPU ", ordinal, " reaches for memory of GPU ", owner);
  return at;
}

// ---- the machine -------------------------------------------------------------------------------------------------

namespace calls {

int init(unsigned) { return 0; }
int version(int* v) { return *v = 13000, 0; }
int device_count(int* n) { return *n = gpu().count, 0; }
int device(int* d, int ordinal) { return ordinal >= 0 && ordinal < gpu().count ? (*d = ordinal, 0) : kErrorNoDevice; }
int device_name(char* name, int size, int) { return std::snprintf(name, size_t(size), "emulated %s", gpu().chip.name), 0; }
int device_memory(size_t* bytes, int) { return *bytes = size_t(32) << 30, 0; }
int device_attribute(int* value, int attribute, int) {
  const Chip& chip = gpu().chip;
  switch (attribute) {
    case kMultiprocessors: *value = chip.multiprocessors; return 0;
    case kCapabilityMajor: *value = chip.major; return 0;
    case kCapabilityMinor: *value = chip.minor; return 0;
    case kSharedPerBlock: *value = chip.shared_per_block; return 0;
    case kPageableAccess: *value = 0; return 0;
    default: return kInvalidValue;
  }
}
int retain_context(Context* c, int device) { return *c = &gpu().contexts[device], 0; }
int release_context(int) {
  Lock lock(gpu().mutex);
  gpu().dead = false;
  return 0;
}
int push_context(Context c) {
  contexts_of_thread.push_back(c);
  return 0;
}
int pop_context(Context* c) {
  if (contexts_of_thread.empty()) return kNoContext;
  if (c) *c = contexts_of_thread.back();
  contexts_of_thread.pop_back();
  return 0;
}
int error_name(int error, const char** name) {
  *name = error == kEmulatorError ? "emulator" : error == kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS" : error == kInvalidValue ? "CUDA_ERROR_INVALID_VALUE" : "an error";
  return 0;
}
int error_text(int error, const char** text) {
  static thread_local std::string mine;
  Lock lock(gpu().mutex);
  mine = error == kEmulatorError || error == kIllegalAddress ? gpu().error : cat("number ", error);
  *text = mine.c_str();
  return 0;
}

}  // namespace calls

// ---- what tests call ---------------------------------------------------------------------------------------------

const cuda::Driver& driver() {
  static const cuda::Driver table = [] {
    cuda::Driver d;
#define X(name, symbol, params) d.name = calls::name;
    TENON_CUDA_FUNCTIONS(X)
#undef X
    calls::version(&d.cuda_version);
    return d;
  }();
  return table;
}

void install(const std::string& chip, int gpus) {
  CHECK(gpus >= 1 && gpus <= kMostGpus);
  gpu().chip = *cuda::chip_of_target("cuda:" + chip);
  gpu().count = gpus;
  describe_address = [](uintptr_t address) { return gpu().memory->describe(address); };
  cuda::replace_driver(&driver());
  cuda::replace_nvrtc(compile_for_emulator);
}

void set_order(Order order) {
  Lock lock(gpu().mutex);
  gpu().order = order;
}

void set_fatal_faults(bool fatal) {
  Lock lock(gpu().mutex);
  gpu().faults_are_fatal = fatal;
}

DriverCounts driver_counts() {
  Lock lock(gpu().mutex);
  DriverCounts c = gpu().counts;
  c.buffers = gpu().memory->buffers();
  c.bytes = gpu().memory->bytes();
  return c;
}

}  // namespace tenon::emulator
