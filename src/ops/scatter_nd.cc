// ScatterND: a copy of data in which the element or slice that each tuple in the last dimension of `indices` selects is
// replaced by, or combined with, the matching part of updates.
#include "ops/common/nd_index.h"
#include "ops/common/scatter.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const std::string& reduction = a.attrs.s("reduction");
  TRY(check_reduction(reduction));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.ranked(1)) {
    if (a.rank(1) < 1) return invalid_model("indices is a scalar");
    const SymShape &data = a.shape(0), &indices = a.shape(1);
    if (indices.back().is_const()) {
      const int64_t k = indices.back().constant();
      if (k > a.rank(0)) return invalid_model("tuples of ", k, " indices into data of rank ", a.rank(0));
      SymShape want(indices.begin(), indices.end() - 1);
      want.insert(want.end(), data.begin() + k, data.end());
      if (a.ranked(2)) {
        const SymShape& got = a.shape(2);
        bool fits = got.size() == want.size();
        for (size_t i = 0; fits && i < got.size(); ++i)
          fits = !got[i].is_const() || !want[i].is_const() || got[i] == want[i];
        if (!fits) return invalid_model("updates has shape ", to_string(got), ", not ", to_string(want));
      }
    }
  }
  a.set(0, a.dtype(0), a.shape(0));
  if (reduction == "none") propagate_values(a, {0, 2});
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const Tensor &indices = a.x(1), &updates = a.x(2);
  const size_t k = size_t(indices.shape().back());
  const Shape strides = row_major_strides(y.shape());
  const std::span<const int64_t> all(y.shape()), all_strides(strides);
  const std::span<const int64_t> index_shape(indices.shape());
  const int64_t tuples = num_elements(index_shape.first(index_shape.size() - 1));
  const int64_t slice = num_elements(all.subspan(k));
  copy_all(a.x(0), y);
  for (int64_t t = 0; t < tuples; ++t) {
    const int64_t at = TRY(tuple_offset(indices, t * int64_t(k), all.first(k), all_strides.first(k)));
    reduce_into(a.attrs.s("reduction"), y, at, updates, t * slice, slice);
  }
  return {};
}

extern const Op op_scatter_nd{
    .name = "ScatterND",
    .version = 18,
    .compatible_from = 11,
    .inputs = {{"data", kAny}, {"indices", DType::i64, 0}, {"updates", kAny}},
    .outputs = {{"output"}},
    .attrs = {{"reduction", std::string("none")}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{8}}, {{3, 1}, DType::i64, 0, 0, {4, 3, -1}}, {{3}}}},
                {{{{4, 3}}, {{2, 1}, DType::i64, 0, 0, {1, 1}}, {{2, 3}}}, {{"reduction", std::string("max")}}},
                {{{{4, 3}}, {{0, 2}, DType::i64}, {{0}}}}},
};

}  // namespace tenon::ops
