// ThreadPool: workers join a loop through one atomic gate, so a sleeping worker never delays a loop that is
// done.
#include "base/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace tenon {
namespace {

// About 30 us on current x86 processors: longer than the gap between two layers, shorter than a scheduler
// tick.
constexpr int kSpins = 1500;
// While the caller waits for workers that joined, it yields after this many looks: more threads than cores
// must work.
constexpr int kSpinsBeforeYield = 2000;

inline void cpu_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The gate packs the loop's number, an open bit and the count of workers that joined it.
constexpr uint64_t kOpen = uint64_t{1} << 16;
constexpr uint64_t kJoined = kOpen - 1;
constexpr int kLoopShift = 17;

}  // namespace

struct ThreadPool::State {
  alignas(64) std::atomic<uint64_t> gate{0};
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<int64_t> finished{0};
  alignas(64) std::atomic<bool> stop{false};
  std::atomic<int> sleepers{0};
  // Written only while the gate is closed and no worker is inside.
  const TaskRef* task = nullptr;
  int64_t n = 0;
  uint64_t loop = 0;

  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> workers;
  std::exception_ptr thrown;  // guarded by mutex

  // A task may run out of memory. The first exception is kept for the caller of the loop; what is left of it is skipped.
  void drain(int worker) noexcept {
    const TaskRef& t = *task;
    const int64_t count = n;
    try {
      for (;;) {
        const int64_t i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= count) return;
        t(i, worker);
      }
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(mutex);
      if (!thrown) thrown = std::current_exception();
    }
  }

  bool ready(uint64_t gate_value, uint64_t last) const {
    return (gate_value & kOpen) != 0 && (gate_value >> kLoopShift) != last;
  }

  void work(int worker) {
    uint64_t last = 0;
    for (;;) {
      uint64_t g = gate.load(std::memory_order_acquire);
      for (int spin = 0; spin < kSpins && !ready(g, last) && !stop.load(std::memory_order_acquire); ++spin) {
        cpu_pause();
        g = gate.load(std::memory_order_acquire);
      }
      if (!ready(g, last)) {
        std::unique_lock<std::mutex> lock(mutex);
        // Sequentially consistent on both sides: either the opener sees the sleeper or the sleeper sees the
        // open gate.
        sleepers.fetch_add(1);
        for (;;) {
          g = gate.load();
          if (stop.load() || ready(g, last)) break;
          wake.wait(lock);
        }
        sleepers.fetch_sub(1);
      }
      if (stop.load(std::memory_order_acquire)) return;
      if (!gate.compare_exchange_strong(g, g + 1, std::memory_order_acq_rel)) continue;
      last = g >> kLoopShift;
      drain(worker);
      finished.fetch_add(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads < 1 ? 1 : threads) {
  if (threads_ == 1) return;
  state_ = std::make_unique<State>();
  state_->workers.reserve(static_cast<size_t>(threads_ - 1));
  for (int i = 1; i < threads_; ++i) state_->workers.emplace_back([s = state_.get(), i] { s->work(i); });
}

ThreadPool::~ThreadPool() {
  if (!state_) return;
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stop.store(true);
  }
  state_->wake.notify_all();
  for (std::thread& t : state_->workers) t.join();
}

void ThreadPool::parallel_for(int64_t n, TaskRef task) {
  if (n <= 0) return;
  if (n == 1 || threads_ == 1) {
    for (int64_t i = 0; i < n; ++i) task(i, 0);
    return;
  }
  State& s = *state_;
  s.task = &task;
  s.n = n;
  s.next.store(0, std::memory_order_relaxed);
  s.finished.store(0, std::memory_order_relaxed);
  s.gate.store((++s.loop << kLoopShift) | kOpen);
  if (s.sleepers.load() > 0) {
    { std::lock_guard<std::mutex> lock(s.mutex); }
    s.wake.notify_all();
  }
  s.drain(0);
  const int64_t joined = static_cast<int64_t>(s.gate.fetch_and(~kOpen, std::memory_order_acq_rel) & kJoined);
  for (int spin = 0; s.finished.load(std::memory_order_acquire) != joined; ++spin) {
    if (spin < kSpinsBeforeYield) {
      cpu_pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (s.thrown) std::rethrow_exception(std::exchange(s.thrown, nullptr));  // all workers are done with it
}

}  // namespace tenon
