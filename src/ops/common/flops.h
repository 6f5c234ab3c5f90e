// The arithmetic of the operators that have more of it than one for each element: Op::flops.
#pragma once

#include "ops/op.h"

namespace tenon {

// Each result is a sum of `depth` products.
Flops matmul_flops(const FlopArgs& a, double depth);
// Weights [M, C/group, k...] at input `weights`: each result is a sum over one filter. Taps in the padding count too.
Flops conv_flops(const FlopArgs& a, size_t weights);
// Weights [C, M/group, k...] at input 1: each input element meets one filter.
Flops conv_transpose_flops(const FlopArgs& a);
// X at input 0 with sequence and batch first, W and R at 1 and 2: each step multiplies with both.
Flops recurrent_flops(const FlopArgs& a);
// A window of the attribute kernel_shape for each result.
Flops pool_flops(const FlopArgs& a);

// softmax(q k') v for `rows` queries over all heads, of which `length` follow on one another and come after `past` keys.
// Lengths and masks that only the data tells count as if nothing were shut out.
struct AttentionSizes {
  double q = 0, y = 0;  // elements of the queries and of the result
  double rows = 0;
  double length = 0, past = 0, keys = 0;  // keys: with those of the past
  bool causal = false;
};
Flops attention_flops(const AttentionSizes& s);

}  // namespace tenon
