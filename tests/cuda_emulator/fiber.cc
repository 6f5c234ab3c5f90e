#include "cuda_emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/status.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#if !defined(__x86_64__)
#error "the emulator's fibers are written for x86-64"
#endif

asm(R"(
    .text
    .globl emu_switch
    .globl emu_switch_resume
    .type emu_switch, @function
    .type emu_switch_resume, @function
emu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
emu_switch_resume:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emu_switch, .-emu_switch
)");

namespace tenon::emulator {

static size_t page() {
  static const size_t bytes = size_t(sysconf(_SC_PAGESIZE));
  return bytes;
}

FiberStack::FiberStack() {
  void* p = mmap(nullptr, kBytes + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(p != MAP_FAILED);
  base_ = static_cast<char*>(p);
  CHECK(mprotect(base_, page(), PROT_NONE) == 0);
}

FiberStack::~FiberStack() { munmap(base_, kBytes + page()); }

void* FiberStack::prepare(void (*main)()) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(base_ + page(), kBytes);  // what stood here may have been given up in the middle of a call
#endif
  // From the top: no return address, then `main` where emu_switch returns to, then six registers. A function finds its
  // stack 8 bytes off a multiple of 16.
  void** top = reinterpret_cast<void**>(base_ + page() + kBytes) - 1;
  top[0] = nullptr;
  top[-1] = reinterpret_cast<void*>(main);
  std::memset(top - 7, 0, 6 * sizeof(void*));
  return top - 7;
}

bool FiberStack::overflowed(uintptr_t address) const {
  const uintptr_t base = reinterpret_cast<uintptr_t>(base_);
  return address >= base && address < base + page();
}

}  // namespace tenon::emulator
