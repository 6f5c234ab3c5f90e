// What the Scatter operators share: combining an update with what is there, and ScatterElements itself.
#pragma once

#include "ops/common/movement.h"

namespace tenon {

// none, add, mul, max, min. Errors: another name.
Status check_reduction(const std::string& name);
// y[at + i] = reduction(y[at + i], updates[from + i]) for n elements. REQUIRES: check_reduction passed.
void reduce_into(const std::string& reduction, Tensor& y, int64_t at, const Tensor& updates, int64_t from, int64_t n);

// ScatterElements, and Scatter, its older name: attribute "axis", and "reduction" where there is one.
Status infer_scatter_elements(InferArgs& a);
Status reference_scatter_elements(RefArgs& a);

}  // namespace tenon
