// Cutting loops into tasks for the thread pool, and rounding up of scratch sizes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/thread_pool.h"

namespace tenon::cpu {

// Work under this many elements is not worth waking a second thread.
constexpr int64_t kGrain = 16384;

constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
inline char* align64(void* p) { return reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(p), 64)); }

// Calls fn(begin, end, worker) over pieces of [0, n) that hold at least about `grain` elements of work, where one step
// of n is worth `work` elements. The pieces depend on the number of threads, so fn's result must not depend on them.
template <class F>
void parallel_ranges(ThreadPool& pool, int64_t n, int64_t work, F&& fn) {
  if (n <= 0) return;
  const int threads = pool.threads();
  const int64_t total = n * std::max<int64_t>(work, 1);
  if (threads == 1 || n == 1 || total < 2 * kGrain) return fn(int64_t{0}, n, 0);
  const int64_t tasks = std::min({n, total / kGrain, int64_t(threads) * 4});
  pool.parallel_for(tasks, [&](int64_t t, int worker) { fn(n * t / tasks, n * (t + 1) / tasks, worker); });
}

// The same over whole tasks whose number does not depend on the threads: fn(task, worker).
template <class F>
void parallel_tasks(ThreadPool& pool, int64_t tasks, int64_t work, F&& fn) {
  if (pool.threads() == 1 || tasks == 1 || tasks * std::max<int64_t>(work, 1) < 2 * kGrain) {
    for (int64_t t = 0; t < tasks; ++t) fn(t, 0);
  } else {
    pool.parallel_for(tasks, [&](int64_t t, int worker) { fn(t, worker); });
  }
}

}  // namespace tenon::cpu
