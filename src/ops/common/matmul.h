// What operators that multiply matrices share: numpy.matmul's shapes and plain products in double or int64.
#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon {

// One size for two dims that must be equal; constants win. Errors: two constants that differ. `what` names
// the dim.
Result<Dim> unify_dims(const Dim& a, const Dim& b, const char* what);

// numpy.matmul: [..., M, K] x [..., K, N] = [..., M, N]; a vector counts as one row (a) or one column (b),
// and its dimension of 1 leaves the result.
Result<SymShape> matmul_shape(const SymShape& a, const SymShape& b);

// Swaps the last two dimensions. REQUIRES: rank >= 2.
SymShape swap_last_two(SymShape shape);

// y[m, n] = a[m, k] * b[k, n], all row-major. T is double or int64_t (which wraps).
template <class T>
void matmul(const T* a, const T* b, T* y, int64_t m, int64_t k, int64_t n);

// The product of whole tensors of these shapes. REQUIRES: matmul_shape() accepts them.
template <class T>
std::vector<T> batched_matmul(const std::vector<T>& a, const Shape& a_shape, const std::vector<T>& b,
                              const Shape& b_shape);

// [..., r, c] to [..., c, r]. REQUIRES: shape.size() >= 2.
template <class T>
std::vector<T> transpose_last_two(const std::vector<T>& x, const Shape& shape);

extern template void matmul(const double*, const double*, double*, int64_t, int64_t, int64_t);
extern template void matmul(const int64_t*, const int64_t*, int64_t*, int64_t, int64_t, int64_t);
extern template std::vector<double> batched_matmul(const std::vector<double>&, const Shape&,
                                                   const std::vector<double>&, const Shape&);
extern template std::vector<int64_t> batched_matmul(const std::vector<int64_t>&, const Shape&,
                                                    const std::vector<int64_t>&, const Shape&);
extern template std::vector<double> transpose_last_two(const std::vector<double>&, const Shape&);
extern template std::vector<int64_t> transpose_last_two(const std::vector<int64_t>&, const Shape&);

// The elements of an integer tensor minus a zero point that is absent, one value, or one for each row
// (`per_row`) or column of the matrices. Errors: the zero point has another number of elements.
Result<std::vector<int64_t>> centered_ints(const Tensor& x, const Tensor& zero_point, bool per_row);
// Inference's side of it: does `p` (a scale or zero point) fit matrices of shape `x`?
Status check_matrix_param(InferArgs& a, size_t x, size_t p, bool per_row);
// Where element `i` of a tensor of this shape finds its scale or zero point of `count` values.
int64_t matrix_param_index(const Shape& shape, int64_t i, int64_t count, bool per_row);

}  // namespace tenon
