// ThreadPool: a fixed set of workers that share loops; spins briefly between loops, then sleeps.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace tenon {

// A reference to a callable void(int64_t task, int worker); does not own it.
class TaskRef {
 public:
  template <class F>
  TaskRef(const F& f) : object_(&f), call_([](const void* o, int64_t task, int worker) {
    (*static_cast<const F*>(o))(task, worker);
  }) {}
  void operator()(int64_t task, int worker) const { call_(object_, task, worker); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int);
};

// One thread at a time may call parallel_for; contexts that run at once have a pool each.
class ThreadPool {
 public:
  // `threads` counts the caller: 1 starts no thread. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Calls task(i, worker) for each i in [0, n), worker in [0, threads()); returns when all are done. A task must not
  // call parallel_for on the same pool. Which worker runs which task varies; results must not depend on it.
  void parallel_for(int64_t n, TaskRef task);

 private:
  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

}  // namespace tenon
