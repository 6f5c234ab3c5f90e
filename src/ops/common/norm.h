// What the normalisations share: moments of runs of elements, scale and bias.
#pragma once

#include "ops/common/window.h"

namespace tenon {

struct Moments {
  double mean = 0, variance = 0;
};
Moments moments(const double* x, int64_t n);

// Output 0 is input 0 again, in type and shape.
Status infer_same(InferArgs& a);

// x[i] = (x[i] - mean) / sqrt(variance + epsilon) for each of `rows` equal runs of x.
void normalize_rows(std::vector<double>& x, int64_t rows, double epsilon);
// x[n, c, :] = x * scale[c] + bias[c].
void scale_channels(std::vector<double>& x, int64_t batch, const std::vector<double>& scale,
                    const std::vector<double>& bias);
// y = x * scale + bias, both broadcast to x's shape; bias may be null.
void store_scaled(Tensor& y, const std::vector<double>& x, const Tensor& scale, const Tensor& bias);
// Errors: input `i` does not broadcast to input 0's shape.
Status check_broadcasts_to_input(const InferArgs& a, size_t i);

}  // namespace tenon
