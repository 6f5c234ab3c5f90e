// NonZero: the indices of all elements that are not zero, one column each, in row-major order.
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_fresh(0, DType::i64, 2, "nonzero"), Status();
  a.set(0, DType::i64, {Dim(a.rank(0)), a.fresh("nonzero")});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x.size(); ++i)
    if (is_float(x.dtype()) ? x.at(i) != 0 : x.int_at(i) != 0) found.push_back(i);
  const int64_t n = int64_t(found.size());
  Tensor& y = *TRY(a.allocate(0, DType::i64, {x.rank(), n}));
  for (int64_t k = 0; k < n; ++k) {
    int64_t rest = found[size_t(k)];
    for (int64_t d = x.rank(); d-- > 0; rest /= x.dim(d)) y.set_int(d * n + k, rest % x.dim(d));
  }
  return {};
}

extern const Op op_non_zero{
    .name = "NonZero",
    .version = 13,
    .compatible_from = 9,
    .inputs = {{"X", kAny}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{2, 3}, DType::i32, 0, 1}}}, {{{{5}, DType::boolean, 0, 1}}}, {{{{0, 3}}}}},
};

}  // namespace tenon::ops
