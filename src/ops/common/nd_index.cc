#include "ops/common/nd_index.h"

namespace tenon {

Result<int64_t> tuple_offset(const Tensor& indices, int64_t at, std::span<const int64_t> sizes,
                             std::span<const int64_t> strides) {
  int64_t offset = 0;
  for (size_t d = 0; d < sizes.size(); ++d)
    offset += strides[d] * TRY(checked_index(indices.int_at(at + int64_t(d)), sizes[d]));
  return offset;
}

}  // namespace tenon
