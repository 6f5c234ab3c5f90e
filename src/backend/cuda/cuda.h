// The cuda backend, run half: NVIDIA's GPUs through the driver. Kernels come with the engine as machine code and recipes
// (recipe.h); nothing here knows one by name.
#pragma once

#include "backend/backend.h"

namespace tenon::cuda {

// Targets: "cuda:sm_90a" and the other chips of chip.h. One Device for each ordinal, shared by all engines of the process.
// Errors: unavailable, no driver or no such GPU; incompatible, a GPU that does not run code for the target.
Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal);
// Ok where this machine has a GPU and a driver for it; else unavailable, saying which is missing.
Status state();
// The best target for a GPU of this machine.
Result<std::string> target_of_machine(int ordinal = 0);

}  // namespace tenon::cuda
