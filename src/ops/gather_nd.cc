// GatherND: each tuple in the last dimension of `indices` selects an element or a slice of data; the first batch_dims
// dimensions are common to both.
#include "ops/common/nd_index.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t batch = a.attrs.i("batch_dims");
  if (batch < 0) return invalid_model("batch_dims is ", batch);
  if (!a.ranked(0) || !a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  const SymShape &data = a.shape(0), &indices = a.shape(1);
  if (batch >= a.rank(0) || batch >= a.rank(1))
    return invalid_model("batch_dims ", batch, " is too large for ranks ", a.rank(0), " and ", a.rank(1));
  for (size_t i = 0; i < size_t(batch); ++i)
    if (data[i].is_const() && indices[i].is_const() && !(data[i] == indices[i]))
      return invalid_model("batch dimension ", i, " is ", data[i].constant(), " in data, ", indices[i].constant(),
                           " in indices");
  if (!indices.back().is_const()) return a.set_unranked(0, a.dtype(0)), Status();
  const int64_t k = indices.back().constant();
  if (k < 1 || k > a.rank(0) - batch)
    return invalid_model("the last dimension of indices is ", k, ", it must be within [1, ", a.rank(0) - batch, "]");
  SymShape shape(indices.begin(), indices.end() - 1);
  shape.insert(shape.end(), data.begin() + batch + k, data.end());
  if (shape.size() > kMaxRank) return unsupported("GatherND to ", shape.size(), " dimensions");
  a.set(0, a.dtype(0), shape);
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(0), &indices = a.x(1);
  const size_t batch = size_t(a.attrs.i("batch_dims")), k = size_t(indices.shape().back());
  const Shape strides = row_major_strides(x.shape());
  const std::span<const int64_t> all(x.shape()), all_strides(strides);
  const int64_t batches = num_elements(all.first(batch)), slice = num_elements(all.subspan(batch + k));
  const int64_t tuples = indices.size() / int64_t(k);
  if (batches == 0 || tuples == 0) return {};
  const int64_t each = tuples / batches, area = x.size() / batches;
  for (int64_t t = 0; t < tuples; ++t) {
    const int64_t at =
        TRY(tuple_offset(indices, t * int64_t(k), all.subspan(batch, k), all_strides.subspan(batch, k)));
    copy_elements(x.dtype(), a.y(0).data(), t * slice, x.data(), t / each * area + at, slice);
  }
  return {};
}

extern const Op op_gather_nd{
    .name = "GatherND",
    .version = 13,
    .compatible_from = 11,
    .inputs = {{"data", kAny}, {"indices", DType::i64, 0}},
    .outputs = {{"output"}},
    .attrs = {{"batch_dims", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 5}}, {{2, 2}, DType::i64, 0, 0, {0, 2, -1, 1}}}},
                {{{{2, 3, 5}}, {{2, 1}, DType::i64, 0, 0, {2, 0}}}, {{"batch_dims", int64_t(1)}}},
                {{{{2, 3}}, {{0, 2}, DType::i64}}}},
};

}  // namespace tenon::ops
