// What operators that give only a scalar program share: broadcasting inference and the interpreted reference.
#pragma once

#include "ops/op.h"

namespace tenon {

// The program of `op` for these input types (none: absent) with its single output marked.
ScalarProgram scalar_program(const Op& op, const Attrs& attrs, const std::vector<DType>& types);
DType scalar_output_type(const Op& op, const Attrs& attrs, const std::vector<DType>& types);
Status infer_pointwise(InferArgs& a);
Status reference_pointwise(RefArgs& a);
// As infer_pointwise where the other inputs must broadcast to the shape of the first ("unidirectional").
Status infer_like_first(InferArgs& a);
// A scalar_type: the operator answers yes or no.
DType bool_type(const Attrs& attrs, const std::vector<DType>& inputs);

// numpy's broadcasting of two shapes. Errors: two constants that differ and are not 1.
Result<SymShape> broadcast_shapes(const SymShape& a, const SymShape& b);
// Errors: `from` cannot be broadcast to `to`, whatever the symbols are.
Status check_broadcasts_to(const SymShape& from, const SymShape& to);

// Strides, in elements, to read a tensor of shape `from` as if it had shape `to` (0 where it is broadcast).
// REQUIRES: from broadcasts to `to`.
Shape broadcast_strides(const Shape& from, const Shape& to);

// Walks an index space in row-major order, keeping one offset for each set of strides.
class Walker {
 public:
  Walker(const Shape& shape, std::vector<Shape> strides);
  int64_t offset(size_t k) const { return offsets_[k]; }
  void next();

 private:
  Shape shape_, index_;
  std::vector<Shape> strides_;
  Shape offsets_;
};

}  // namespace tenon
