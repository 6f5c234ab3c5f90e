// The window functions of signal processing: sums of cosines over one period.
#pragma once

#include <array>

#include "ops/op.h"

namespace tenon {

Status infer_window(InferArgs& a);
// y[k] = c[0] - c[1] * cos(2 pi k / N) + c[2] * cos(4 pi k / N), N = size (periodic) or size - 1 (symmetric).
Status reference_window(RefArgs& a, const std::array<double, 3>& c);
std::vector<AttrSpec> window_attrs();
std::vector<Sample> window_samples();

// A scalar integer input as a symbol, where it is known. Errors: it is not a scalar, or a constant below
// `least`.
Result<std::optional<Dim>> scalar_dim(InferArgs& a, size_t input, int64_t least);
// Type of an attribute such as output_datatype. Errors: not a plain number type.
Result<DType> datatype_attr(const Attrs& attrs, const char* attr);
// Stores a double as element i of any number type; integers are truncated.
void store_truncated(Tensor& y, int64_t i, double v);

}  // namespace tenon
