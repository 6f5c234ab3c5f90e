#include "backend/cuda/device.h"

#include <xxhash.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <set>

#include "backend/cuda/chip.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/stream.h"

namespace tenon::cuda {

// ---- opening -----------------------------------------------------------------------------------------------------

static MemoryId next_memory_id() {
  static std::atomic<MemoryId> next = kHostMemory;
  return ++next;
}

CudaDevice::CudaDevice(const Driver& driver, int ordinal, const GpuInfo& gpu, int device, Context context)
    : driver_(driver), ordinal_(ordinal), gpu_(gpu), device_(device), context_(context), memory_id_(next_memory_id()), pool_(driver) {}

CudaDevice::~CudaDevice() {
  {
    Current current(*this);
    pool_.trim();
  }
  driver_.release_context(device_);
}

Result<std::shared_ptr<CudaDevice>> CudaDevice::open(const Driver& driver, int ordinal, const GpuInfo& gpu) {
  // One for each ordinal; and for each driver, as tests have their own.
  static std::mutex mutex;
  static auto* open_ones = new std::map<std::pair<const Driver*, int>, std::weak_ptr<CudaDevice>>;
  std::lock_guard lock(mutex);
  std::weak_ptr<CudaDevice>& known = (*open_ones)[{&driver, ordinal}];
  if (std::shared_ptr<CudaDevice> d = known.lock()) {
    TRY(d->alive());  // a fresh context needs the old one to be gone
    return d;
  }
  int device = 0;
  Context context = nullptr;
  int error = driver.device(&device, ordinal);
  if (!error) error = driver.retain_context(&context, device);
  if (error) return Status(Code::unavailable, cat("GPU ", ordinal, " (", gpu.name, ") cannot be used: ", error_text(driver, error)), "check with nvidia-smi");
  std::shared_ptr<CudaDevice> d(new CudaDevice(driver, ordinal, gpu, device, context));
  known = d;
  return d;
}

Status state() {
  const Driver* driver = TRY(machine_driver());
  return list_gpus(*driver).status();
}

static Status no_such_gpu(int ordinal, size_t there_are) {
  const std::string which = there_are == 1 ? "GPU 0" : cat("GPUs 0 to ", there_are - 1);
  return Status(Code::unavailable, cat("there is no GPU ", ordinal, "; this machine has ", there_are, ", ", which), "tenon doctor lists them");
}

Result<std::string> target_of_machine(int ordinal) {
  const Driver* driver = TRY(machine_driver());
  const std::vector<GpuInfo> gpus = TRY(list_gpus(*driver));
  if (ordinal < 0 || size_t(ordinal) >= gpus.size()) return no_such_gpu(ordinal, gpus.size());
  const GpuInfo& g = gpus[size_t(ordinal)];
  if (const Chip* c = chip_of_capability(g.major, g.minor)) return cat("cuda:", c->name);
  return Status(Code::unavailable, cat("GPU ", ordinal, " (", g.name, ") has compute capability ", g.major, ".", g.minor, ", for which there is no target"),
                "use --device cpu");
}

Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal) {
  const Chip chip = TRY(chip_of_target(target));
  const Driver* driver = TRY(machine_driver());
  const std::vector<GpuInfo> gpus = TRY(list_gpus(*driver));
  if (ordinal < 0 || size_t(ordinal) >= gpus.size())
    return no_such_gpu(ordinal, gpus.size());
  const GpuInfo& g = gpus[size_t(ordinal)];
  if (!runs_on(chip, g.major, g.minor)) {
    auto own = target_of_machine(ordinal);
    return Status(Code::incompatible,
                  cat("the engine was built for ", chip.name, ", but GPU ", ordinal, " (", g.name, ") has compute capability ", g.major, ".", g.minor),
                  own.ok() ? cat("build it for this GPU: --target ", *own) : own.status().message());
  }
  return std::shared_ptr<Device>(TRY(CudaDevice::open(*driver, ordinal, g)));
}

std::string CudaDevice::description() const {
  return cat(gpu_.name, ", compute capability ", gpu_.major, ".", gpu_.minor, ", ", gpu_.multiprocessors, " multiprocessors, ",
             human_bytes(uint64_t(gpu_.memory)), ", driver for CUDA ", driver_.cuda_version / 1000, ".", driver_.cuda_version % 1000 / 10);
}

// ---- errors ------------------------------------------------------------------------------------------------------

Status CudaDevice::alive() const {
  if (!dead_) return {};
  std::lock_guard lock(mutex_);
  return Status(fault_.code(), cat("this process can do nothing more on the GPU since an earlier fault: ", fault_.message()), fault_.remedy());
}

Status CudaDevice::failed(int error, const std::string& doing, const std::string& work) {
  const Code code = error == kErrorOutOfMemory ? Code::out_of_memory : Code::internal;
  Status s(code, cat("GPU ", ordinal_, " fails to ", doing, ": ", error_text(driver_, error), work),
           is_fatal(error) ? "close every engine on this GPU, then open them again" : "");
  if (is_fatal(error)) {
    std::lock_guard lock(mutex_);
    if (fault_.ok()) fault_ = s;
    dead_ = true;
  }
  return s;
}

// ---- memory ------------------------------------------------------------------------------------------------------

std::shared_ptr<Buffer> CudaDevice::allocate(int64_t bytes) {
  if (bytes < 0 || !alive().ok()) return nullptr;
  Current current(*this);
  const DevicePtr address = pool_.allocate(bytes);
  if (!address) return nullptr;
  std::shared_ptr<const void> owner(reinterpret_cast<const void*>(address), [device = shared_from_this()](const void* p) {
    Current free_in(*device);
    device->pool_.free(reinterpret_cast<DevicePtr>(p));
  });
  return Buffer::borrow(reinterpret_cast<const void*>(address), bytes, std::move(owner), memory_id_);
}

Result<MemoryId> CudaDevice::owner_of(const void* address) const {
  if (!address) return kHostMemory;
  TRY(alive());
  Current current(*this);
  const auto at = reinterpret_cast<DevicePtr>(address);
  unsigned type = 0, managed = 0;
  int ordinal = ordinal_;
  int attributes[] = {kPointerMemoryType, kPointerIsManaged, kPointerOrdinal};
  void* values[] = {&type, &managed, &ordinal};
  // Ordinary memory of the host, which the driver does not know, has type 0. (Asking for one attribute is an error then.)
  if (driver_.pointer_attributes(3, attributes, values, at) != 0 || type == 0) return kHostMemory;
  if (managed) return memory_id_;  // every GPU reaches it
  if (type == kMemoryOfHost) return kHostMemory;
  if (ordinal != ordinal_)
    return Status(Code::invalid_argument, cat("the memory is of GPU ", ordinal, ", the engine runs on GPU ", ordinal_),
                  cat("copy it to GPU ", ordinal_, ", or open the engine on GPU ", ordinal));
  return memory_id_;
}

Status CudaDevice::synchronize() {
  TRY(alive());
  Current current(*this);
  const int error = driver_.synchronize_context();
  return error ? failed(error, "finish its work") : Status();
}

std::shared_ptr<Buffer> CudaDevice::allocate_staging(int64_t bytes) {
  if (bytes < 0 || !alive().ok()) return nullptr;
  Current current(*this);
  void* address = nullptr;
  const int64_t size = bytes ? bytes : 1;
  if (driver_.host_alloc(&address, size_t(size), 0) != 0 || !address) return nullptr;
  {
    std::lock_guard lock(staging_mutex_);
    staging_[static_cast<const char*>(address)] = size;
  }
  std::shared_ptr<const void> owner(address, [device = shared_from_this()](const void* p) {
    {
      std::lock_guard lock(device->staging_mutex_);
      device->staging_.erase(static_cast<const char*>(p));
    }
    Current free_in(*device);
    device->driver_.host_free(const_cast<void*>(p));
  });
  return Buffer::borrow(address, bytes, std::move(owner));
}

bool CudaDevice::is_staging(const void* p) const {
  const char* at = static_cast<const char*>(p);
  std::lock_guard lock(staging_mutex_);
  auto it = staging_.upper_bound(at);
  return it != staging_.begin() && at < std::prev(it)->first + std::prev(it)->second;
}

Status CudaDevice::copy(Stream& stream, void* to, const void* from, int64_t bytes, Copy direction) {
  if (bytes == 0) return {};
  TRY(alive());
  auto& s = static_cast<CudaStream&>(stream);
  if (s.recording() && direction != Copy::device_to_device) return internal_error("copies between host and device cannot be recorded");
  Current current(*this);
  const auto size = size_t(bytes);
  const auto a = reinterpret_cast<DevicePtr>(to), b = reinterpret_cast<DevicePtr>(from);
  int error = 0;
  switch (direction) {
    case Copy::host_to_device: error = driver_.copy_to_device_async(a, from, size, s.active()); break;
    case Copy::device_to_host: error = driver_.copy_to_host_async(to, b, size, s.active()); break;
    case Copy::device_to_device: error = driver_.copy_within_async(a, b, size, s.active()); break;
  }
  if (error) return s.failed(error, cat("copy ", human_bytes(uint64_t(bytes))));
  s.issued(nullptr);
  // The driver stages ordinary memory before it returns, unless the GPU reads it by itself.
  if (direction == Copy::host_to_device && gpu_.pageable_access && !is_staging(from)) return s.synchronize();
  return {};
}

static std::string content_key(const Tensor& t) {
  const XXH128_hash_t h = XXH3_128bits(t.data(), size_t(t.bytes()));
  return cat(uint64_t(h.high64), ".", uint64_t(h.low64), ".", t.bytes());
}

// What kernels may count on, as of the driver's own allocations.
static int64_t in_block(int64_t bytes) { return (std::max<int64_t>(bytes, 1) + 255) / 256 * 256; }

Result<std::vector<std::shared_ptr<Buffer>>> CudaDevice::upload_all(std::span<const Tensor> constants) {
  TRY(alive());
  std::vector<std::shared_ptr<Buffer>> out(constants.size());
  std::vector<std::string> keys(constants.size());
  std::map<std::string, std::pair<size_t, int64_t>> missing;  // by key: the first of them, and where it goes in the block
  int64_t bytes = 0;
  for (size_t i = 0; i < constants.size(); ++i) {
    {
      std::lock_guard lock(mutex_);
      if (auto it = prepared_.find(constants[i].data()); it != prepared_.end()) out[i] = it->second.lock();
    }
    if (out[i] && out[i]->size() == std::max<int64_t>(constants[i].bytes(), 1)) continue;
    keys[i] = content_key(constants[i]);
    std::lock_guard lock(mutex_);
    const auto known = uploads_.find(keys[i]);
    out[i] = known == uploads_.end() ? nullptr : known->second.lock();
    if (!out[i] && missing.try_emplace(keys[i], i, bytes).second) bytes += in_block(constants[i].bytes());
  }
  if (missing.empty()) return out;
  const auto block = allocate(bytes);
  if (!block) return Status(Code::out_of_memory, cat("no device memory for ", human_bytes(uint64_t(bytes)), " of weights"), "a GPU with more free memory");
  Current current(*this);
  for (const auto& [key, place] : missing) {
    const Tensor& data = constants[place.first];
    const auto to = static_cast<char*>(block->data()) + place.second;
    if (const int error = data.bytes() ? driver_.copy_to_device(reinterpret_cast<DevicePtr>(to), data.data(), size_t(data.bytes())) : 0)
      return failed(error, "copy weights");
    out[place.first] = Buffer::borrow(to, std::max<int64_t>(data.bytes(), 1), block, memory_id_);
  }
  std::lock_guard lock(mutex_);
  for (const auto& [key, place] : missing) uploads_[key] = out[place.first];
  for (size_t i = 0; i < out.size(); ++i)
    if (!out[i]) out[i] = out[missing.at(keys[i]).first];
  return out;
}

namespace {
// Weights that wait for the kernels that will ask for them.
struct Prepared {
  std::vector<std::shared_ptr<Buffer>> buffers;
  std::function<void()> forget;
  ~Prepared() { forget(); }
};
}  // namespace

Result<std::shared_ptr<void>> CudaDevice::prepare_load(std::span<const KernelImage* const> images) {
  std::vector<Tensor> weights;  // behind the machine code
  std::set<const void*> seen;
  for (const KernelImage* image : images)
    for (size_t i = 1; i < image->data.size(); ++i)
      if (image->data[i] && seen.insert(image->data[i].data()).second) weights.push_back(image->data[i]);
  std::vector<std::shared_ptr<Buffer>> there = TRY(upload_all(weights));
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < weights.size(); ++i) prepared_[weights[i].data()] = there[i];
  auto forget = [device = shared_from_this(), weights] {
    std::lock_guard lock(device->mutex_);
    for (const Tensor& t : weights) device->prepared_.erase(t.data());
  };
  return std::shared_ptr<void>(std::shared_ptr<Prepared>(new Prepared{std::move(there), std::move(forget)}));
}

void CudaDevice::list_memory(const Buffer& buffer, HeldMemory& out) const {
  const auto [address, bytes] = pool_.block_of(reinterpret_cast<DevicePtr>(buffer.data()));
  out[reinterpret_cast<const void*>(address)] = bytes;
}

// ---- machine code ------------------------------------------------------------------------------------------------

// The driver is given an address and no size, so what the headers say must lie within the file.
static bool is_whole_elf(const char* p, uint64_t size) {
  auto number = [&](uint64_t at, int bytes) {
    uint64_t v = 0;
    std::memcpy(&v, p + at, size_t(bytes));
    return v;
  };
  if (size < 64 || p[4] != 2) return false;  // 64 bits
  const uint64_t sections = number(0x28, 8), each = number(0x3a, 2), count = number(0x3c, 2);
  const uint64_t segments = number(0x20, 8), segment_each = number(0x36, 2), segment_count = number(0x38, 2);
  auto inside = [&](uint64_t offset, uint64_t bytes) { return offset <= size && bytes <= size - offset; };
  if (each < 64 || !inside(sections, each * count) || !inside(segments, segment_each * segment_count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = sections + i * each;
    constexpr uint64_t kNoBits = 8;
    if (number(at + 4, 4) != kNoBits && !inside(number(at + 0x18, 8), number(at + 0x20, 8))) return false;
  }
  for (uint64_t i = 0; i < segment_count && segment_each >= 56; ++i) {
    const uint64_t at = segments + i * segment_each;
    if (!inside(number(at + 8, 8), number(at + 0x20, 8))) return false;
  }
  return true;
}

Result<std::shared_ptr<LoadedModule>> CudaDevice::load_module(const Tensor& code) {
  TRY(alive());
  std::string image(code.as<char>(), size_t(code.bytes()));  // ends with a zero, as images that are text must
  if (starts_with(image, "\x7f" "ELF") && !is_whole_elf(image.data(), image.size()))
    return Status(Code::data_loss, "the step's machine code is damaged", "build the engine again");
  const std::string key = content_key(code);
  std::lock_guard lock(mutex_);
  if (auto known = modules_[key].lock()) return known;
  auto m = std::make_shared<LoadedModule>();
  m->device = shared_from_this();
  m->bytes = code.bytes();
  Current current(*this);
  if (const int error = driver_.module_load(&m->module, image.data())) {
    m->module = nullptr;
    if (error == kErrorOutOfMemory) return Status(Code::out_of_memory, "no device memory for machine code", "a GPU with more free memory");
    return Status(Code::incompatible, cat("the driver does not take the engine's machine code: ", error_text(driver_, error)),
                  "update the driver, or build the engine again for this GPU");
  }
  modules_[key] = m;
  return m;
}

LoadedModule::~LoadedModule() {
  if (!module) return;
  CudaDevice::Current current(*device);
  device->driver().module_unload(module);
}

Result<Function> LoadedModule::function(const std::string& name) const {
  CudaDevice::Current current(*device);
  Function f = nullptr;
  if (const int error = device->driver().module_function(&f, module, name.c_str()))
    return Status(Code::data_loss, cat("the engine's machine code has no kernel '", escape(name), "': ", error_text(device->driver(), error)), "build the engine again");
  return f;
}

Status LoadedModule::allow_shared(Function f, int bytes) {
  constexpr int kWithoutAsking = 48 * 1024;
  std::lock_guard lock(mutex_);
  int& allowed = shared_.try_emplace(f, kWithoutAsking).first->second;
  if (bytes <= allowed) return {};
  CudaDevice::Current current(*device);
  if (const int error = device->driver().function_attribute(f, kMaxDynamicShared, bytes))
    return device->failed(error, cat("give a kernel ", human_bytes(uint64_t(bytes)), " of shared memory"));
  allowed = bytes;
  return {};
}

// ---- the rest of the contract ------------------------------------------------------------------------------------

Result<std::unique_ptr<Stream>> CudaDevice::create_stream(int) { return CudaStream::create(shared_from_this()); }

// By the highest clocks, which the chip does not hold under full load.
Result<Peaks> CudaDevice::peaks(Stream&) {
  const Chip* chip = chip_of_capability(gpu_.major, gpu_.minor);
  if (!chip || gpu_.clock_khz <= 0 || gpu_.memory_clock_khz <= 0) return Peaks{};
  const double clocks = double(gpu_.multiprocessors) * gpu_.clock_khz * 1e3;
  const FlopsPerClock& each = chip->flops;
  constexpr double kTransfersEachClock = 2;
  char source[128];
  std::snprintf(source, sizeof source, "%d multiprocessors at %.2f GHz, memory of %d bits at %.2f GHz", gpu_.multiprocessors, gpu_.clock_khz * 1e-6,
                gpu_.memory_bus_bits, gpu_.memory_clock_khz * 1e-6);
  return Peaks{source, kTransfersEachClock * gpu_.memory_clock_khz * 1e3 * gpu_.memory_bus_bits / 8, clocks * each.arithmetic, clocks * each.f64,
               clocks * each.f32, clocks * each.tf32, clocks * each.f16, clocks * each.f8, clocks * each.i8};
}

Result<std::unique_ptr<Kernel>> CudaDevice::load(const KernelSource& source) { return load_kernel(shared_from_this(), source); }

}  // namespace tenon::cuda
