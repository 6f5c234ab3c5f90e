#include "backend/cuda/memory.h"

#include <algorithm>

namespace tenon::cuda {

// What is larger goes back to the driver at once, and so does what exceeds the sum.
static constexpr int64_t kLargestKept = int64_t(256) << 20, kMostKept = int64_t(1) << 30;

int64_t MemoryPool::block_bytes(int64_t bytes) {
  const int64_t step = bytes > 1 << 20 ? 1 << 16 : 512;
  return (std::max<int64_t>(bytes, 1) + step - 1) / step * step;
}

std::pair<DevicePtr, int64_t> MemoryPool::block_of(DevicePtr address) const {
  std::lock_guard lock(mutex_);
  const auto after = used_.upper_bound(address);
  if (after == used_.begin()) return {address, 0};
  return *std::prev(after);
}

std::shared_ptr<Progress> MemoryPool::add_stream() {
  auto p = std::make_shared<Progress>();
  std::lock_guard lock(mutex_);
  std::erase_if(streams_, [](const auto& s) { return s.expired(); });
  streams_.push_back(p);
  return p;
}

bool MemoryPool::is_idle(const Block& b) {
  return std::all_of(b.waits.begin(), b.waits.end(), [](const Wait& w) { return w.stream->done >= w.until; });
}

DevicePtr MemoryPool::allocate(int64_t bytes) {
  const int64_t size = block_bytes(bytes);
  std::unique_lock lock(mutex_);
  for (auto it = kept_.lower_bound(size); it != kept_.end() && it->first <= size + size / 2; ++it) {
    if (!is_idle(it->second)) continue;
    const DevicePtr address = it->second.address;
    used_[address] = it->first;
    kept_bytes_ -= it->first;
    kept_.erase(it);
    return address;
  }
  lock.unlock();
  DevicePtr address = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (driver_.alloc(&address, size_t(size)) == 0) break;
    address = 0;
    if (attempt == 0) trim();
  }
  if (!address) return 0;
  lock.lock();
  used_[address] = size;
  return address;
}

void MemoryPool::free(DevicePtr address) {
  std::unique_lock lock(mutex_);
  auto it = used_.find(address);
  if (it == used_.end()) return;
  const int64_t size = it->second;
  used_.erase(it);
  if (size > kLargestKept || kept_bytes_ + size > kMostKept) {
    lock.unlock();
    driver_.free(address);  // waits for what uses it
    return;
  }
  Block b{address, size, {}};
  for (const auto& weak : streams_)
    if (auto s = weak.lock(); s && s->issued > s->done) b.waits.push_back({s, s->issued});
  kept_bytes_ += size;
  kept_.emplace(size, std::move(b));
}

void MemoryPool::trim() {
  std::multimap<int64_t, Block> all;
  {
    std::lock_guard lock(mutex_);
    all.swap(kept_);
    kept_bytes_ = 0;
  }
  for (const auto& [size, block] : all) driver_.free(block.address);
}

int64_t MemoryPool::kept_bytes() const {
  std::lock_guard lock(mutex_);
  return kept_bytes_;
}

}  // namespace tenon::cuda
