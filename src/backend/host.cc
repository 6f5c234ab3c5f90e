#include "backend/host.h"

#include <cstring>

namespace tenon {

Status HostDevice::copy(Stream&, void* to, const void* from, int64_t bytes, Copy) {
  if (bytes) std::memcpy(to, from, size_t(bytes));
  return {};
}

Result<std::unique_ptr<Stream>> HostDevice::create_stream(int threads) {
  return std::unique_ptr<Stream>(std::make_unique<HostStream>(threads));
}

}  // namespace tenon
