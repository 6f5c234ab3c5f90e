// How far two tensors lie apart.
#pragma once

#include "base/tensor.h"

namespace tenon::cli {

// Largest difference that float32 results may show, as a part of the tensor's largest magnitude.
constexpr double kTolerance = 1e-4;

struct Difference {
  double absolute = 0;   // the largest
  double relative = 0;   // that, as a part of the expected tensor's largest magnitude
  int64_t at = -1;       // the element; -1: none differs
  int64_t unequal = 0;   // elements that differ at all
};
// Infinite where types, shapes, NaNs or infinities differ.
Difference compare_tensors(const Tensor& got, const Tensor& expected);
// The numbers in another type, rounded to it; the tensor itself where it has that type. Errors: out_of_memory.
Result<Tensor> converted(const Tensor& t, DType type);

}  // namespace tenon::cli
