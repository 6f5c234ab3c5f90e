// A step on the device: its recipe, its machine code, and what was packed for it.
#pragma once

#include "backend/cuda/device.h"

namespace tenon::cuda {

// Errors: data_loss, incompatible, out_of_memory.
Result<std::unique_ptr<Kernel>> load_kernel(std::shared_ptr<CudaDevice> device, const KernelSource& source);

}  // namespace tenon::cuda
