// NVRTC, NVIDIA's compiler from CUDA C++ text to machine code, opened while running: nothing of CUDA is needed to build
// Tenon, and no GPU to use this.
#pragma once

#include <string>
#include <vector>

#include "backend/cuda/chip.h"

namespace tenon::cuda {

// What the compiler tells about one kernel.
struct KernelStats {
  std::string kernel;
  int registers = 0;
  int spilled = 0;        // bytes stored and loaded because registers ran out
  int shared = 0;         // static shared memory, bytes
};

struct Compiled {
  std::string cubin;
  std::string log;
  std::vector<KernelStats> kernels;
};

struct NvrtcOptions {
  std::vector<std::string> extra;  // further options for the compiler
  bool refuse_slow = false;        // where slowness() finds something: for variants that have an alternative
  bool use_disk = true;            // look in the cache on disk, and leave the result there
};

// Where NVRTC was found and its version: "libnvrtc.so.12 (12.9)". Errors: unavailable, with the remedy.
Result<std::string> nvrtc_description();
std::string nvrtc_version();  // "nvrtc 12.9"; empty where there is none

// Compiles the prelude and `source` for `chip`. Results are remembered, in the process and in the folder that
// compile_cache_folder names. Safe from several threads; equal texts are compiled once.
// Errors: unavailable, no NVRTC; incompatible, one too old for the chip; internal, with the compiler's words; no_kernel,
// refused.
Result<Compiled> compile_cuda(const std::string& source, const Chip& chip, const NvrtcOptions& options = {});
using CompileCuda = Result<Compiled> (*)(const std::string& source, const Chip& chip, const NvrtcOptions& options);
// For tests: what compile_cuda() calls from now on; null for NVRTC again.
void replace_nvrtc(CompileCuda compile);

// What the compiler could not make fast: registers that are spilled, instructions that are serialised or hints that are
// ignored (the assembler's C75xx). "" where there is nothing.
std::string slowness(const Compiled& c);

// cuda/ of cache_folder(); empty where there is none.
std::string compile_cache_folder();
// The figures in a log of the compiler.
std::vector<KernelStats> parse_stats(const std::string& log);

}  // namespace tenon::cuda
