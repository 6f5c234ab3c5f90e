#include "ops/common/arg_extreme.h"

#include "ops/common/movement.h"
#include "ops/common/ordering.h"

namespace tenon {

Status infer_arg_extreme(InferArgs& a) {
  const bool keep = a.attrs.i("keepdims") != 0;
  if (!a.ranked(0)) return a.set_unranked(0, DType::i64), Status();
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  SymShape shape = a.shape(0);
  if (keep)
    shape[size_t(axis)] = Dim(1);
  else
    shape.erase(shape.begin() + axis);
  a.set(0, DType::i64, shape);
  return {};
}

static Status reference(RefArgs& a, bool max) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const AxisSplit s = split_at(x.shape(), (a.attrs.i("axis") + x.rank()) % x.rank());
  if (s.n == 0 && y.size() > 0) return invalid_argument("there is no extreme of an axis without elements");
  const bool last = a.attrs.i("select_last_index") != 0;
  const std::vector<int64_t> keys = order_keys(x);  // [outer, n, inner]
  if (y.size() == 0) return {};
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      auto at = [&](int64_t e) { return keys[size_t((o * s.n + e) * s.inner + i)]; };
      int64_t best = 0;
      for (int64_t e = 1; e < s.n; ++e)
        if (at(e) == at(best) ? last : (at(e) > at(best)) == max) best = e;
      y.set_int(o * s.inner + i, best);
    }
  return {};
}

Status reference_arg_max(RefArgs& a) {
  return reference(a, true);
}
Status reference_arg_min(RefArgs& a) {
  return reference(a, false);
}

}  // namespace tenon
