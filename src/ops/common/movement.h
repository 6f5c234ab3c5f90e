// What operators that only move elements share: bit-exact copies of any type, strided views, and following the
// symbolic elements of shape arithmetic through a move.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "ops/op.h"

namespace tenon {

constexpr size_t kMaxRank = 64;  // more dimensions than any real tensor has; a longer shape vector is refused

// ---- known values in inference -----------------------------------------------------------------------------------

// The elements of an integer input of rank 0 or 1 where known, constants of any length included.
std::optional<std::vector<Dim>> known_value(const InferArgs& a, size_t i);
// The single element of an integer input, where known.
std::optional<Dim> known_scalar(const InferArgs& a, size_t i);
// Errors: input i is known to have more than one dimension.
Status check_vector(const InferArgs& a, size_t i);
// Number of elements of input i, a vector, where known; a scalar counts as one.
std::optional<size_t> vector_length(const InferArgs& a, size_t i);
// Axes counted from the front. Errors: one out of range, or given twice.
Result<Ints> normalize_axes(const Ints& axes, int64_t rank);
// Is v below zero for all sizes (true), for none (false), or does it depend?
std::optional<bool> known_negative(const Dim& v);

// Finds the symbolic elements of the outputs, where they are small vectors, by running the operator's own reference
// on element numbers. `moved` are the inputs whose elements travel unchanged to the outputs; every output element
// must come from one of them. The other inputs have to be known constants. Call after the outputs' shapes are set.
void propagate_values(InferArgs& a, std::initializer_list<size_t> moved);

// ---- reference kernels -------------------------------------------------------------------------------------------

// Copies n elements bit for bit; types under 8 bits too.
void copy_elements(DType t, void* to, int64_t to_index, const void* from, int64_t from_index, int64_t n);
// All elements of x to y, which has as many.
void copy_all(const Tensor& x, Tensor& y);
// y[i0, i1, ...] = x[offset + i0 * strides[0] + i1 * strides[1] + ...].
void copy_view(const Tensor& x, int64_t offset, const Shape& strides, Tensor& y);
// The reverse: y[offset + i0 * strides[0] + ...] = x[i0, i1, ...].
void copy_into_view(const Tensor& x, Tensor& y, int64_t offset, const Shape& strides);
// Every element of y becomes value[0].
void fill(Tensor& y, const Tensor& value);
void fill_zero(Tensor& y);

// A shape seen as [outer, n, inner] around one axis.
struct AxisSplit {
  int64_t outer = 1, n = 1, inner = 1;
};
AxisSplit split_at(const Shape& shape, int64_t axis);

// An index counted from the front. Errors: out of [-n, n).
Result<int64_t> checked_index(int64_t index, int64_t n);

}  // namespace tenon
