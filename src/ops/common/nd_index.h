// Index tuples of GatherND and ScatterND: the last dimension of `indices` points into the leading dimensions of data.
#pragma once

#include "ops/common/movement.h"

namespace tenon {

// Element offset that a tuple of `k` indices at indices[at...] selects, where the indexed dimensions are `sizes` with
// strides `strides`. Errors: an index out of range.
Result<int64_t> tuple_offset(const Tensor& indices, int64_t at, std::span<const int64_t> sizes,
                             std::span<const int64_t> strides);

}  // namespace tenon
