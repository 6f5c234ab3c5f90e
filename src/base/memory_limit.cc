#include "base/memory_limit.h"

#include <unistd.h>

#include <atomic>

namespace tenon {

static std::atomic<int64_t>& limit() {
  static std::atomic<int64_t> bytes = [] {
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? pages * page : int64_t(1) << 56;
  }();
  return bytes;
}

int64_t buffer_limit() { return limit().load(std::memory_order_relaxed); }
void set_buffer_limit(int64_t bytes) { limit().store(bytes, std::memory_order_relaxed); }

Status out_of_memory() {
  return Status(Code::out_of_memory, "no memory for these sizes", "a smaller batch or shape, or a machine with more memory");
}

}  // namespace tenon
