// The block that a host thread is running: its threads, their fibers, and what they wait for.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cuda_emulator/fiber.h"
#include "cuda_emulator/machine.h"

namespace tenon::emulator {

struct Thread;

// A queue of threads, linked through Thread::next.
struct ThreadQueue {
  Thread *first = nullptr, *last = nullptr;
  bool empty() const { return !first; }
  void push(Thread* t);
  Thread* pop();
  void take_all(ThreadQueue& from);
};

struct Fiber {
  FiberStack stack;
  void* saved = nullptr;
};

struct AsyncCopy {
  void* to;
  const void* from;
  int bytes, from_bytes;
};

struct Thread : EmuThread {
  Thread* next = nullptr;
  Fiber* fiber = nullptr;
  bool exited = false;
  int votes = 0;                    // the result of the last barrier
  const char* waits_for = nullptr;  // what it stands in; null when it runs or may run
  const char* file = "";
  int line = 0;
  std::vector<AsyncCopy> copies;    // cp.async: those under way, oldest first
  std::vector<size_t> groups;       // how many copies each committed group has
};

struct Barrier {
  int arrived = 0, threads = 0, votes = 0;  // threads: 0 for all of the block
  const char* file = "";
  int line = 0;
  ThreadQueue waiting;
};

// Lanes that meet in one instruction.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  void (*finish)(void** lanes, unsigned mask) = nullptr;
  const char* what = "";
  const char* file = "";
  int line = 0;
  void* brought[32] = {};
  ThreadQueue waiting;
};

struct Warp {
  unsigned running = 0;  // lanes that have not left the kernel
  unsigned in_use = 0;   // of `meetings`: a bit for each
  std::array<Meeting, 32> meetings;
};

class Block {
 public:
  // Runs all threads of this block; false when it was given up, and error() says why.
  bool run(const HostKernel& code, const GridShape& shape, const EmuDim3& index, void* shared, void** args, Order order);
  const std::string& error() const { return error_; }

  // ---- called on fibers
  int barrier(int number, int threads, bool wait, bool vote, const char* file, int line);
  void meet(unsigned mask, void* brought, void (*finish)(void**, unsigned), const char* what, const char* file, int line);
  void yield();
  void fail(const std::string& what);  // does not come back
  Thread& current() { return *static_cast<Thread*>(emu_thread); }
  bool copies_late() const { return order_ == Order::backwards; }

  // For the signal handler: notes the error; gives the stack pointer to go on with.
  void* give_up(const std::string& what);
  bool running() const { return running_; }  // a fiber runs
  bool stack_overflowed(uintptr_t address) const;
  const EmuBlock& shape() const { return block_; }

 private:
  static void fiber_main();
  void run_threads();                // the loop of a fiber
  void wait(const char* what, const char* file, int line);
  void go_on();                      // leaves the current fiber for whoever can run
  Thread* next_unstarted();
  Fiber* take_fiber();
  void resume(Thread* t);
  void leave(Thread& t);             // it has left the kernel: who waited for it?
  void open(Barrier& b);
  void finish(Warp& w, Meeting& m);
  std::string deadlock() const;

  const HostKernel* code_ = nullptr;
  void** args_ = nullptr;
  Order order_ = Order::forwards;
  EmuBlock block_{};
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::array<Barrier, 16> barriers_;  // as many as a block of a GPU has
  ThreadQueue ready_;
  size_t started_ = 0, exited_ = 0;
  int64_t idle_yields_ = 0;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_;
  Fiber* fiber_ = nullptr;           // the one that runs
  void* main_ = nullptr;             // where run() stands
  bool running_ = false, failed_ = false;
  std::string error_;
};

// The calling thread's.
Block& this_block();

}  // namespace tenon::emulator
