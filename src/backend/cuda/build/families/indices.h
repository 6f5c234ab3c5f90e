// Index values that a kernel reads from tensors. They are data, so a kernel takes nothing for granted: one
// out of range is moved to the nearest that is there, and from an axis without elements zeros are read.
#pragma once

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

inline constexpr char kIndexHelpers[] = R"(
// REQUIRES: n > 0. Negative ones count from the end.
DEVICE unsigned checked_index(long long i, unsigned n) {
  if (i < 0) i += n;
  return i < 0 ? 0u : i < n ? unsigned(i) : n - 1u;
}
)";

// Statements that read the tuple of `k` indices from `pointer` + `at` into the variable `place`, an offset in
// elements with these sizes and strides; `found` is false where a dimension has no elements.
std::string read_tuple(KernelWriter& k, const std::string& pointer, const std::string& at,
                       const SymShape& sizes, const SymShape& strides);

}  // namespace tenon::cuda
