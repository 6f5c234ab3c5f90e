// What com.microsoft's attention operators share: their masks, which are biases rather than shut doors.
#pragma once

#include "ops/common/attention.h"

namespace tenon {

// mask_index or key_padding_mask: 1 keeps a key, 0 adds `filter` to its logit. Its shape says how it is
// meant: [batch] lengths, [2 * batch] ends then starts, [batch, total] keys, [batch, queries, total] pairs.
struct KeyMask {
  std::vector<int64_t> mask;
  int64_t rank = 0, batch = 0, q_len = 0, total = 0;
  double filter = -10000;

  bool keeps(int64_t b, int64_t i, int64_t j) const;
};
// Is `shape` one of those? Concrete dims only are looked at. `ends_and_starts`: [2 * batch] is.
Status check_key_mask(InferArgs& a, size_t input, const Dim& batch, const Dim& q_len, const Dim& total,
                      bool ends_and_starts);
// [batch or 1, heads or 1, queries, total], added to the logits.
Status check_attention_bias(InferArgs& a, size_t input, const Dim& batch, const Dim& heads, const Dim& q_len,
                            const Dim& total);

// The bias of a row from a mask, an added tensor and position: query i stands at past + i; `causal` shuts out
// the keys after it.
struct MsBias {
  KeyMask mask;               // used where mask.rank > 0
  std::vector<double> added;  // [batch, heads, queries, total] by these strides
  Shape added_strides;
  int64_t total = 0, past = 0;
  bool causal = false;

  void operator()(int64_t b, int64_t h, int64_t i, double* row) const;
};
// Reads the two inputs where present. REQUIRES: the checks above passed.
MsBias ms_bias(const RefArgs& a, const AttentionProblem& p, size_t mask_input, size_t bias_input,
               int64_t past);

}  // namespace tenon
