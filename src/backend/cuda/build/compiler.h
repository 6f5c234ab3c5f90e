// The cuda backend, build half: nodes to machine code by way of CUDA C++ and NVRTC. Needs no GPU and no driver, unless the
// target is left to this machine.
#pragma once

#include "backend/compiler.h"

namespace tenon::cuda {

// Targets: "cuda:sm_90a" and the other chips of chip.h; "" is this machine's first GPU.
// Errors: unavailable, NVRTC is missing, or there is no GPU to take the target from; invalid_argument, no such target.
Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& target);

}  // namespace tenon::cuda
