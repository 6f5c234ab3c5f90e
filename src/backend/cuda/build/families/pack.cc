#include "backend/cuda/build/families/pack.h"

namespace tenon::cuda {

PackedLayout packed_layout(DType type, int64_t rows, int64_t k, bool columns) {
  const int64_t chunk = 128 / bits(type), ld = ((columns ? rows : k) + chunk - 1) / chunk * chunk;
  return {columns, rows, k, ld, ld * (columns ? k : rows)};
}

Matrix packed_matrix(const PackedLayout& p, int index) {
  Matrix m;
  m.form = p.columns ? Matrix::columns : Matrix::k_major;
  m.stored = true;
  m.index = index;
  m.ld = p.ld;
  m.row_limit = p.columns ? p.ld : p.rows;
  m.k_limit = p.columns ? p.k : p.ld;
  return m;
}

}  // namespace tenon::cuda
