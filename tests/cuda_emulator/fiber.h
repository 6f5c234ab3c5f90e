// Fibers: stacks that take turns on one thread of the host. A switch saves the registers that calls preserve, no more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::emulator {

// A stack with a page behind it that faults.
class FiberStack {
 public:
  static constexpr size_t kBytes = 128 << 10;
  FiberStack();
  ~FiberStack();
  FiberStack(const FiberStack&) = delete;
  // A stack pointer which, switched to, calls `main`. It must never return.
  void* prepare(void (*main)());
  // Whether this address is in the page that faults.
  bool overflowed(uintptr_t address) const;

 private:
  char* base_ = nullptr;
};

extern "C" {
// Goes on where `to` was saved; the place to come back to is stored in *from.
void emu_switch(void** from, void* to);
// The second half of emu_switch: with the stack pointer at a saved place, goes on there. Where a signal handler sends a
// fiber that is given up.
void emu_switch_resume();
}

}  // namespace tenon::emulator
