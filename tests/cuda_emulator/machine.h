// Machine: runs a grid of a kernel on the calling thread, its blocks one after another, the threads of a block as fibers.
//
// A thread runs until it waits: at a barrier, or in an instruction that the lanes of a warp do together. A block whose
// threads never wait is a plain loop on one stack; a fiber more is taken for each thread that waits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cuda_emulator/abi.h"

namespace tenon::emulator {

struct Parameter {
  int bytes;
  bool pointer;
};

// A kernel as it was compiled for the host.
struct HostKernel {
  std::string name;
  std::string file;                  // its shared object
  void (*entry)(void** args) = nullptr;  // runs the current thread; args[i] points to argument i
  std::vector<Parameter> parameters;
  int64_t max_threads = 0;           // of a block, by its __launch_bounds__; 0: unknown
  std::function<void*()> statics;    // its static shared memory as the calling thread has it; empty: none
  int64_t static_shared = 0;         // bytes
};

// In which order threads and blocks are started. A kernel whose result differs between the two lacks a barrier.
// Backwards, asynchronous copies are also done as late as they may be, else as early.
enum class Order : uint8_t { forwards, backwards };

struct GridShape {
  int64_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  int64_t shared = 0;         // dynamic, bytes
  bool programmatic = false;  // the kernel has to call pdl_wait()
};

// Whether a GPU would take this launch, where a block has at most so many bytes of shared memory. Errors: invalid_argument.
Status check_launch(const HostKernel& code, const GridShape& shape, int64_t shared_per_block);

// Errors: internal, for what a GPU would trap, hang or get wrong, naming the kernel, the block and the thread.
// REQUIRES: check_launch().
Status run_grid(const HostKernel& code, const GridShape& shape, void** args, Order order);

// What lies at an address outside of what kernels may touch: "4 bytes behind a buffer of 64"; "" where nobody knows. Set by
// the owner of device memory, called in a signal handler.
extern std::string (*describe_address)(uintptr_t address);

}  // namespace tenon::emulator
