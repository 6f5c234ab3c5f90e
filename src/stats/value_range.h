// ValueRange: how large and how small the numbers of a value were, over all tensors that it was shown.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "base/tensor.h"

namespace tenon {

struct ValueRange {
  double low = std::numeric_limits<double>::infinity();    // over finite elements; low > high: there was none
  double high = -std::numeric_limits<double>::infinity();
  double least = std::numeric_limits<double>::infinity();  // the smallest magnitude that is not zero
  int64_t count = 0, infinite = 0, nan = 0;                // elements: all, infinities, NaNs

  void add(const Tensor& t);  // REQUIRES: a float type, host memory
  void merge(const ValueRange& other);
  double largest() const;     // magnitude over finite elements; 0 where there was none
};

using ValueRanges = std::map<std::string, ValueRange>;  // by the name of the value

}  // namespace tenon
