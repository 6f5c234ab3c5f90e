// Libraries of kernels: the source of a step, compiled for the host and loaded.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda_emulator/machine.h"

namespace tenon::emulator {

struct KernelLibrary {
  std::vector<HostKernel> kernels;
  const HostKernel* find(const std::string& name) const;
};

// Compiles `source`, which defines extern "C" kernels, behind the emulator's stand-ins for the prelude's
// ptx.cuh and hopper.cuh and behind `prelude`, the rest of it. Equal texts are compiled once: the result stays in the process, and in
// the cache folder for the next. Safe from several threads. Errors: internal, with the compiler's words.
Result<std::shared_ptr<const KernelLibrary>> load_library(const std::string& prelude, const std::string& source);

// What loading has cost so far.
struct LibraryCost {
  int compiled = 0, from_cache = 0;
  double compile_seconds = 0;
};
LibraryCost library_cost();

}  // namespace tenon::emulator
