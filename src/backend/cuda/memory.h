// Device memory. Freed blocks are kept for the next allocation, since asking the driver costs a wait for the whole
// device. Work that was put on a stream may still use a block that its owner has let go: the block is given out again
// only when every stream has been waited for that had work then.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/cuda/driver.h"

namespace tenon::cuda {

// How far a stream has come: the work put on it, and the part that it was waited for.
struct Progress {
  std::atomic<uint64_t> issued = 0, done = 0;
};

class MemoryPool {
 public:
  explicit MemoryPool(const Driver& driver) : driver_(driver) {}
  // REQUIRES, here and below: the context is current.
  ~MemoryPool() { trim(); }

  std::shared_ptr<Progress> add_stream();
  // 0 when memory is exhausted, also after all that is kept was given back.
  DevicePtr allocate(int64_t bytes);
  void free(DevicePtr address);
  // What allocate(bytes) takes.
  static int64_t block_bytes(int64_t bytes);
  // The block that an address in use lies in: where it begins, and its bytes.
  std::pair<DevicePtr, int64_t> block_of(DevicePtr address) const;
  // Gives everything that is kept back to the driver.
  void trim();
  int64_t kept_bytes() const;

 private:
  struct Wait {
    std::shared_ptr<Progress> stream;
    uint64_t until;
  };
  struct Block {
    DevicePtr address;
    int64_t bytes;
    std::vector<Wait> waits;
  };
  static bool is_idle(const Block& b);

  const Driver& driver_;
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<Progress>> streams_;
  std::map<DevicePtr, int64_t> used_;
  std::multimap<int64_t, Block> kept_;  // by size
  int64_t kept_bytes_ = 0;
};

}  // namespace tenon::cuda
