// A request's signature: what its kernels are made for, whatever the node and its values are called. Requests of one
// signature get the same kernels, but for the weights that these may have packed.
#pragma once

#include "backend/compiler.h"

namespace tenon {

// One line of text:
//   (f16[~8, 512], const f16[512, 512]) %2: f16[~8, 512] = MatMul(%0, %1)
// Sizes are those of the profile's optimum; a size that may vary has a ~, and stays a formula where nobody gave it a value.
std::string signature(const KernelRequest& request);
// Whether all sizes of its operands are known at the optimum, so that it can be measured there.
bool has_sizes(const KernelRequest& request);

}  // namespace tenon
