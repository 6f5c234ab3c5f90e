// Constant operands in the order in which the kernels of products read them.
#pragma once

#include <cstring>

#include "backend/cuda/build/families/gemm_source.h"

namespace tenon::cuda {

// [entries][rows][k], k padded with zeros to 16 bytes; or, `columns`, [entries][k][rows], rows padded so.
struct PackedLayout {
  bool columns = false;
  int64_t rows = 0, k = 0;
  int64_t ld = 0, entry = 0;  // elements
};
PackedLayout packed_layout(DType type, int64_t rows, int64_t k, bool columns);
// The operand that a kernel reads from stored tensor `index`; the caller fills in batch_strides.
Matrix packed_matrix(const PackedLayout& layout, int index);

// `place(entry, row, k)` is where the element stands in the tensor; negative: zero.
template <class Place>
Result<Tensor> pack_operand(const Tensor& from, int64_t entries, int64_t rows, int64_t k, bool columns, Place place) {
  const PackedLayout p = packed_layout(from.dtype(), rows, k, columns);
  Tensor packed = TRY(Tensor::allocate(from.dtype(), {entries, columns ? k : rows, p.ld}));
  std::memset(packed.data(), 0, size_t(packed.bytes()));
  const auto copy = [&]<class T>(const T* x, T* y) {
    for (int64_t e = 0; e < entries; ++e)
      for (int64_t i = 0; i < (columns ? k : rows); ++i)
        for (int64_t j = 0; j < (columns ? rows : k); ++j) {
          const int64_t at = columns ? place(e, j, i) : place(e, i, j);
          if (at >= 0) y[e * p.entry + i * p.ld + j] = x[at];
        }
  };
  switch (bits(from.dtype())) {
    case 16: copy(from.as<uint16_t>(), packed.as<uint16_t>()); break;
    case 32: copy(from.as<uint32_t>(), packed.as<uint32_t>()); break;
    default: copy(from.as<uint64_t>(), packed.as<uint64_t>()); break;
  }
  return packed;
}

}  // namespace tenon::cuda
