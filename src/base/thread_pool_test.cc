// Tests of ThreadPool: every task runs once, memory is visible after the loop, sleeping workers wake up.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace tenon {
namespace {

TEST(ThreadPool, RunsEachTaskOnce) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t n : {0, 1, 2, 3, 7, 100, 1001}) {
      std::vector<int> count(static_cast<size_t>(n), 0);  // not atomic: tasks touch separate elements
      std::atomic<bool> bad{false};
      pool.parallel_for(n, [&](int64_t i, int worker) {
        if (worker < 0 || worker >= threads) bad = true;
        ++count[static_cast<size_t>(i)];
      });
      EXPECT_FALSE(bad);
      for (int c : count) EXPECT_EQ(c, 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoops) {
  ThreadPool pool(3);
  std::vector<int64_t> sum(3, 0);
  for (int loop = 0; loop < 3000; ++loop) {
    pool.parallel_for(3, [&](int64_t i, int) { sum[static_cast<size_t>(i)] += loop; });
  }
  for (int64_t s : sum) EXPECT_EQ(s, int64_t{3000} * 2999 / 2);
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool(2);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> inside{0};
    // Both tasks must be inside at once: the sleeping worker has to come.
    pool.parallel_for(2, [&](int64_t, int) {
      ++inside;
      while (inside.load() < 2) std::this_thread::yield();
    });
    EXPECT_EQ(inside.load(), 2);
  }
}

TEST(ThreadPool, OneTaskRunsOnTheCaller) {
  ThreadPool pool(2);
  const auto caller = std::this_thread::get_id();
  pool.parallel_for(1, [&](int64_t, int worker) {
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
}

TEST(ThreadPool, ATaskThatRunsOutOfMemoryEndsTheLoopOnly) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      EXPECT_THROW(pool.parallel_for(64, [&](int64_t i, int) { if (i % 16 == round % 16) throw std::bad_alloc(); }), std::bad_alloc);
      std::atomic<int> done{0};
      pool.parallel_for(64, [&](int64_t, int) { ++done; });
      EXPECT_EQ(done.load(), 64);
    }
  }
}

TEST(ThreadPool, ManyPools) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(4);
    if (i % 2) pool.parallel_for(4, [](int64_t, int) {});
  }
}

}  // namespace
}  // namespace tenon
