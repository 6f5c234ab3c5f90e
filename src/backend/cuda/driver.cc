#include "backend/cuda/driver.h"

#include <dlfcn.h>

#include <atomic>

namespace tenon::cuda {

// What the functions above came with; those of tensor maps are the newest.
static constexpr int kOldestCuda = 12000;

static Status missing(const std::string& what, const std::string& remedy) { return Status(Code::unavailable, what, remedy); }

static std::string version_text(int v) { return cat(v / 1000, ".", v % 1000 / 10); }

static Result<Driver> open_driver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return missing("there is no NVIDIA driver on this machine: libcuda.so.1 is missing", "install the driver, or use --device cpu");
  Driver d;
  auto find = [&](const char* symbol) { return dlsym(library, symbol); };
  // The version first, so that an old driver is called old rather than broken.
  d.init = reinterpret_cast<decltype(d.init)>(find("cuInit"));
  d.version = reinterpret_cast<decltype(d.version)>(find("cuDriverGetVersion"));
  if (!d.init || !d.version) return missing("libcuda.so.1 is not NVIDIA's driver", "install the driver anew");
  if (const int error = d.init(0)) {
    if (error == kErrorNoDevice) return missing("the NVIDIA driver is there, but no GPU that it knows", "check with nvidia-smi, or use --device cpu");
    return missing(cat("the NVIDIA driver is there, but cuInit fails with error ", error),
                   "check with nvidia-smi; after an update of the driver restart the machine");
  }
  d.version(&d.cuda_version);
  std::string absent;
#define X(name, symbol, params)                                   \
  d.name = reinterpret_cast<decltype(d.name)>(find(#symbol));     \
  if (!d.name && absent.empty()) absent = #symbol;
  TENON_CUDA_FUNCTIONS(X)
#undef X
  if (d.cuda_version < kOldestCuda || !absent.empty())
    return missing(cat("the NVIDIA driver is too old: it supports CUDA ", version_text(d.cuda_version), ", ", version_text(kOldestCuda),
                       " is needed", absent.empty() ? "" : cat(" (", absent, " is missing)")),
                   "update the driver to 525 or newer");
  return d;
}

static std::atomic<const Driver*> replacement = nullptr;

void replace_driver(const Driver* driver) { replacement = driver; }

Result<const Driver*> machine_driver() {
  if (const Driver* d = replacement) return d;
  static const Result<Driver> driver = open_driver();
  if (!driver.ok()) return driver.status();
  return &*driver;
}

std::string error_text(const Driver& d, int error) {
  const char *name = nullptr, *text = nullptr;
  if (d.error_name(error, &name) != 0 || !name) return cat("CUDA error ", error);
  return d.error_text(error, &text) == 0 && text ? cat(name, " (", text, ")") : std::string(name);
}

bool is_fatal(int error) {
  switch (error) {
    case 214:  // uncorrectable ECC
    case 220:  // uncorrectable NVLink
    case 226:  // contained
    case 700:  // illegal address
    case 702:  // launch timeout
    case 709:  // context is destroyed
    case 710:  // assert
    case 714:  // hardware stack
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // address space
    case 718:  // program counter
    case 719:  // launch failed
    case 721:  // tensor memory leak
    case 999:  // unknown
      return true;
    default: return false;
  }
}

Result<std::vector<GpuInfo>> list_gpus(const Driver& d) {
  int count = 0;
  if (const int error = d.device_count(&count)) return missing("the GPUs cannot be counted: " + error_text(d, error), "check with nvidia-smi");
  std::vector<GpuInfo> out;
  for (int i = 0; i < count; ++i) {
    GpuInfo g;
    int device = 0;
    char name[256] = "";
    size_t bytes = 0;
    if (d.device(&device, i) != 0) continue;
    d.device_name(name, sizeof name - 1, device);
    d.device_memory(&bytes, device);
    d.device_attribute(&g.major, kCapabilityMajor, device);
    d.device_attribute(&g.minor, kCapabilityMinor, device);
    d.device_attribute(&g.multiprocessors, kMultiprocessors, device);
    d.device_attribute(&g.shared_per_block, kSharedPerBlock, device);
    d.device_attribute(&g.clock_khz, kClockRate, device);
    d.device_attribute(&g.memory_clock_khz, kMemoryClockRate, device);
    d.device_attribute(&g.memory_bus_bits, kMemoryBusWidth, device);
    int pageable = 0;
    g.pageable_access = d.device_attribute(&pageable, kPageableAccess, device) == 0 && pageable;
    g.name = name;
    g.memory = int64_t(bytes);
    out.push_back(std::move(g));
  }
  if (out.empty()) return missing("the NVIDIA driver is there, but no GPU", "check with nvidia-smi and CUDA_VISIBLE_DEVICES");
  return out;
}

}  // namespace tenon::cuda
