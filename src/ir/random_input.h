// Random tensors that are plausible inputs: floats near 0 with deviation 1, integers 0 or 1 (valid ids and masks).
#pragma once

#include "base/tensor.h"

namespace tenon {

Result<Tensor> random_input(DType dtype, const Shape& shape, uint64_t seed);

}  // namespace tenon
