#include "ops/common/ms_attention.h"

#include <cmath>

#include "ops/common/matmul.h"
#include "ops/common/pointwise.h"

namespace tenon {

bool KeyMask::keeps(int64_t b, int64_t i, int64_t j) const {
  if (rank == 2) return mask[size_t(b * total + j)] != 0;
  if (rank == 3) return mask[size_t((b * q_len + i) * total + j)] != 0;
  const bool starts = int64_t(mask.size()) == 2 * batch;
  return j < mask[size_t(b)] && (!starts || j >= mask[size_t(batch + b)]);
}

Status check_key_mask(InferArgs& a, size_t input, const Dim& batch, const Dim& q_len, const Dim& total,
                      bool ends_and_starts) {
  if (!a.ranked(input)) return {};
  const SymShape& s = a.shape(input);
  const std::string& name = a.op.inputs[input].name;
  if (s.empty() || s.size() > 3) return unsupported("input '", name, "' of rank ", s.size());
  if (s.size() == 1) {
    if (!s[0].is_const() || !batch.is_const()) return {};
    if (s[0] == batch || (ends_and_starts && s[0].is(2 * batch.constant()))) return {};
    return unsupported("input '", name, "' with ", s[0].constant(), " entries for a batch of ",
                       batch.constant());
  }
  TRY(unify_dims(s[0], batch, "the batch of the mask"));
  if (s.size() == 3) TRY(unify_dims(s[1], q_len, "the queries of the mask"));
  TRY(unify_dims(s.back(), total, "the keys of the mask"));
  return {};
}

Status check_attention_bias(InferArgs& a, size_t input, const Dim& batch, const Dim& heads, const Dim& q_len,
                            const Dim& total) {
  if (!a.ranked(input)) return {};
  const SymShape& s = a.shape(input);
  if (s.size() != 4) return invalid_model("attention_bias must have rank 4, it has rank ", s.size());
  if (!s[0].is(1)) TRY(unify_dims(s[0], batch, "the batch of attention_bias"));
  if (!s[1].is(1)) TRY(unify_dims(s[1], heads, "the heads of attention_bias"));
  TRY(unify_dims(s[2], q_len, "the queries of attention_bias"));
  TRY(unify_dims(s[3], total, "the keys of attention_bias"));
  return {};
}

void MsBias::operator()(int64_t b, int64_t h, int64_t i, double* row) const {
  const int64_t at = added.empty() ? 0 : b * added_strides[0] + h * added_strides[1] + i * added_strides[2];
  for (int64_t j = 0; j < total; ++j) {
    if (mask.rank && !mask.keeps(b, i, j)) row[j] += mask.filter;
    if (!added.empty()) row[j] += added[size_t(at + j * added_strides[3])];
    if (causal && j > past + i) row[j] = -HUGE_VAL;
  }
}

MsBias ms_bias(const RefArgs& a, const AttentionProblem& p, size_t mask_input, size_t bias_input,
               int64_t past) {
  MsBias bias;
  bias.total = p.kv_len;
  bias.past = past;
  if (a.has(mask_input)) {
    const Tensor& m = a.x(mask_input);
    bias.mask = {m.to_ints(), m.rank(), p.batch,
                 p.q_len,     p.kv_len, double(a.attrs.f("mask_filter_value", -10000))};
  }
  if (a.has(bias_input)) {
    const Tensor& t = a.x(bias_input);
    bias.added = t.to_doubles();
    bias.added_strides = broadcast_strides(t.shape(), {p.batch, p.q_heads, p.q_len, p.kv_len});
  }
  return bias;
}

}  // namespace tenon
