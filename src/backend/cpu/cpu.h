// The cpu backend: vectorised, threaded kernels for the host's processor. Families of kernels stand in families.h.
#pragma once

#include "backend/compiler.h"

namespace tenon::cpu {

// Targets: "cpu:baseline", "cpu:avx2", "cpu:avx512"; "" is the best of this machine.
Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& target);
// Errors: incompatible when this machine lacks what the target needs.
Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal);

}  // namespace tenon::cpu
