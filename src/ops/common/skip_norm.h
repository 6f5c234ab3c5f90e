// Layer normalisation with a residual sum before it, as com.microsoft's operators have it.
#pragma once

#include "ops/op.h"

namespace tenon {

// One row of n elements: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, or, simplified, without
// the mean: y = x / sqrt(mean of squares + epsilon) * gamma. `beta` may be null.
struct RowNorm {
  bool simplified;
  double epsilon;
  const double* gamma;
  const double* beta;
  double mean = 0, inverse_deviation = 0;  // of the last row
  void run(const double* x, int64_t n, double* y);
};

// Errors: input i is known not to be a vector of as many elements as dimension d.
Status check_hidden(const InferArgs& a, size_t i, const Dim& d);

// Skip[Simplified]LayerNormalization: inputs input, skip, gamma, [beta unless simplified], bias; outputs the
// normalised sum, mean, 1 / deviation, the sum itself.
Status infer_skip_norm(InferArgs& a, bool simplified);
Status reference_skip_norm(RefArgs& a, bool simplified);

// SimplifiedLayerNormalization: inputs X, scale; outputs Y, 1 / deviation.
Status infer_simplified_norm(InferArgs& a);
Status reference_simplified_norm(RefArgs& a);

}  // namespace tenon
