#include "backend/host.h"

#include <chrono>
#include <cstring>

namespace tenon {

namespace {

// Host streams are done when run() returns, so the time of day is the time of the work.
class HostMark : public Mark {
 public:
  Result<double> seconds_since(const Mark& earlier) override {
    return std::chrono::duration<double>(at_ - static_cast<const HostMark&>(earlier).at_).count();
  }

 private:
  const std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::now();
};

}  // namespace

Result<std::unique_ptr<Mark>> HostStream::mark() { return std::unique_ptr<Mark>(std::make_unique<HostMark>()); }

Status HostDevice::copy(Stream&, void* to, const void* from, int64_t bytes, Copy) {
  if (bytes) std::memcpy(to, from, size_t(bytes));
  return {};
}

Result<std::unique_ptr<Stream>> HostDevice::create_stream(int threads) {
  return std::unique_ptr<Stream>(std::make_unique<HostStream>(threads));
}

}  // namespace tenon
