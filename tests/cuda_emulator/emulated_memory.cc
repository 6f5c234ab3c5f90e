// The emulated driver's memory and copies.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cuda_emulator/gpu.h"

namespace tenon::emulator {

namespace calls {

static bool is_pinned(const void* p) {
  auto* at = static_cast<char*>(const_cast<void*>(p));
  Lock lock(gpu().mutex);
  auto it = gpu().pinned.upper_bound(at);
  return it != gpu().pinned.begin() && at < std::prev(it)->first + std::prev(it)->second;
}

int alloc(DevicePtr* p, size_t bytes) {
  if (no_context()) return kNoContext;
  if (gpu().dead) return kIllegalAddress;
  if (!bytes) return kInvalidValue;
  void* at = gpu().memory->allocate(int64_t(bytes), 64, current_gpu());
  *p = reinterpret_cast<DevicePtr>(at);
  return at ? 0 : kErrorOutOfMemory;
}
int free(DevicePtr p) {
  Lock lock(gpu().mutex);
  for (DriverStream* s : gpu().streams) drain(*s);  // the driver waits for whatever may use it
  return !p || gpu().memory->release(address(p)) ? 0 : kInvalidValue;
}
int pointer_attributes(unsigned n, int* attributes, void** values, DevicePtr p) {
  if (no_context()) return kNoContext;
  const int owner = gpu().memory->owner_of(address(p));
  const unsigned type = owner >= 0 ? kMemoryOfDevice : is_pinned(address(p)) ? kMemoryOfHost : 0;
  for (unsigned i = 0; i < n; ++i) {
    switch (attributes[i]) {
      case kPointerMemoryType: *static_cast<unsigned*>(values[i]) = type; break;
      case kPointerIsManaged: *static_cast<unsigned*>(values[i]) = 0; break;
      case kPointerOrdinal: *static_cast<int*>(values[i]) = std::max(owner, 0); break;
      default: return kInvalidValue;
    }
  }
  return 0;
}
int host_alloc(void** p, size_t bytes, unsigned) {
  *p = std::aligned_alloc(4096, (std::max<size_t>(bytes, 1) + 4095) / 4096 * 4096);
  if (!*p) return kErrorOutOfMemory;
  Lock lock(gpu().mutex);
  gpu().pinned[static_cast<char*>(*p)] = int64_t(bytes);
  return 0;
}
int host_free(void* p) {
  Lock lock(gpu().mutex);
  if (!gpu().pinned.erase(static_cast<char*>(p))) return kInvalidValue;
  std::free(p);
  return 0;
}

// ---- copies ------------------------------------------------------------------------------------------------------

int copy_to_device(DevicePtr to, const void* from, size_t bytes) {
  auto at = gpu().memory->translate(address(to), int64_t(bytes));
  if (!at.ok()) return failed(at.status());
  std::memcpy(*at, from, bytes);
  return 0;
}
static bool is_capturing(StreamHandle s) {
  Lock lock(gpu().mutex);
  const DriverStream* found = find_stream(s);
  return found && found->capturing;
}

int copy_to_device_async(DevicePtr to, const void* from, size_t bytes, StreamHandle s) {
  const int on = gpu_of(s);
  if (is_pinned(from)) return enqueue(s, [=] { return std::memcpy(TRY(reach(on, address(to), int64_t(bytes))), from, bytes), Status(); });
  if (is_capturing(s)) return kCaptureUnsupported;
  auto staged = std::make_shared<std::string>(static_cast<const char*>(from), bytes);  // the source may change now
  return enqueue(s, [=] { return std::memcpy(TRY(reach(on, address(to), int64_t(bytes))), staged->data(), bytes), Status(); });
}
int copy_to_host_async(void* to, DevicePtr from, size_t bytes, StreamHandle s) {
  return enqueue(s, [=, on = gpu_of(s)] { return std::memcpy(to, TRY(reach(on, address(from), int64_t(bytes))), bytes), Status(); });
}
int copy_within_async(DevicePtr to, DevicePtr from, size_t bytes, StreamHandle s) {
  return enqueue(s, [=, on = gpu_of(s)] {
    const char* source = TRY(reach(on, address(from), int64_t(bytes)));
    return std::memmove(TRY(reach(on, address(to), int64_t(bytes))), source, bytes), Status();
  });
}

}  // namespace calls

std::shared_ptr<Buffer> allocate_guarded(int64_t bytes, MemoryId memory) {
  void* p = gpu().memory->allocate(bytes, 16);
  if (!p) return nullptr;
  std::shared_ptr<const void> owner(p, [](void* address) { calls::free(reinterpret_cast<cuda::DevicePtr>(address)); });
  return Buffer::borrow(p, bytes, std::move(owner), memory);
}

}  // namespace tenon::emulator
