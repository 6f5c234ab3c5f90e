#include "ops/common/flops.h"

#include <algorithm>

namespace tenon {

Flops matmul_flops(const FlopArgs& a, double depth) { return {2 * depth * a.results(), 0}; }

Flops conv_flops(const FlopArgs& a, size_t weights) {
  return {2 * a.results() * a.elements(weights) / std::max(1.0, a.dim(weights, 0)), 0};
}

Flops conv_transpose_flops(const FlopArgs& a) { return {2 * a.elements(0) * a.elements(1) / std::max(1.0, a.dim(1, 0)), 0}; }

Flops recurrent_flops(const FlopArgs& a) {
  const double weights = a.elements(1) + a.elements(2), steps = a.dim(0, 0) * a.dim(0, 1);
  // A few functions for each gate, which has a row of W.
  constexpr double kEach = 4;
  return {2 * steps * weights, kEach * steps * a.dim(1, 0) * a.dim(1, 1)};
}

Flops pool_flops(const FlopArgs& a) {
  double taps = 1;
  for (int64_t k : a.attrs.ints("kernel_shape")) taps *= double(k);
  return {0, taps * a.results()};
}

Flops attention_flops(const AttentionSizes& s) {
  // Query i of a causal sequence sees past + i + 1 keys.
  const double seen = s.causal ? std::min(s.keys, s.past + (s.length + 1) / 2) : s.keys;
  // Scale, maximum, exponential, sum, division.
  constexpr double kEach = 5;
  return {2 * seen * (s.q + s.y), kEach * s.rows * seen};
}

}  // namespace tenon
