// ReverseSequence: reverses the first sequence_lens[b] steps of batch entry b and keeps the rest.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t batch = a.attrs.i("batch_axis"), time = a.attrs.i("time_axis");
  if (batch < 0 || batch > 1 || time != 1 - batch)
    return invalid_model("batch_axis ", batch, " and time_axis ", time, " must be 0 and 1, in either order");
  TRY(check_vector(a, 1));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.rank(0) < 2) return invalid_model("input has rank ", a.rank(0), ", it needs at least 2");
  const Dim& entries = a.shape(0)[size_t(batch)];
  if (auto n = vector_length(a, 1); n && entries.is_const() && !entries.is(int64_t(*n)))
    return invalid_model("sequence_lens has ", *n, " elements for a batch of ", entries.constant());
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  if (x.size() == 0) return {};
  const int64_t batch = a.attrs.i("batch_axis"), time = 1 - batch;
  const int64_t entries = x.dim(batch), steps = x.dim(time), inner = split_at(x.shape(), 1).inner;
  for (int64_t b = 0; b < entries; ++b) {
    const int64_t length = a.x(1).int_at(b);
    if (length < 0 || length > steps)
      return invalid_argument("sequence length ", length, " is out of range [0, ", steps, "]");
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t from = t < length ? length - 1 - t : t;
      auto at = [&](int64_t step) { return (batch == 0 ? b * steps + step : step * entries + b) * inner; };
      copy_elements(x.dtype(), a.y(0).data(), at(t), x.data(), at(from), inner);
    }
  }
  return {};
}

extern const Op op_reverse_sequence{
    .name = "ReverseSequence",
    .version = 28,
    .compatible_from = 10,
    .inputs = {{"input", kAny}, {"sequence_lens", DType::i64, 0}},
    .attrs = {{"batch_axis", int64_t(1)}, {"time_axis", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{4, 2, 3}}, {{2}, DType::i64, 0, 0, {1, 3}}}},
                {{{{2, 5}}, {{2}, DType::i64, 0, 0, {5, 0}}},
                 {{"batch_axis", int64_t(0)}, {"time_axis", int64_t(1)}}}},
};

}  // namespace tenon::ops
