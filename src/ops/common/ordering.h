// Comparing elements of any type through integer keys.
#pragma once

#include <vector>

#include "base/tensor.h"

namespace tenon {

// One key for each element, ordered as the elements are: -0 equals 0, NaN equals NaN and comes after all
// numbers.
std::vector<int64_t> order_keys(const Tensor& t);

}  // namespace tenon
