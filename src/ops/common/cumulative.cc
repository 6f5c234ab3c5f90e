#include "ops/common/cumulative.h"

#include "ops/common/movement.h"

namespace tenon {

Status infer_cumulative(InferArgs& a) {
  if (a.has_constant(1) && a.in[1].constant.size() != 1) return invalid_model("axis is not a scalar");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (const auto axis = known_scalar(a, 1); axis && axis->is_const())
    TRY(a.axis(axis->constant(), a.rank(0)));
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

template <class F>
static Status reference(RefArgs& a, int64_t start, F step) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (x.size() == 0) return {};
  int64_t axis = a.x(1).int_at(0);
  if (axis < 0) axis += x.rank();
  const AxisSplit s = split_at(x.shape(), axis);
  const bool exclusive = a.attrs.i("exclusive") != 0, reverse = a.attrs.i("reverse") != 0,
             floats = is_float(x.dtype());
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      double running = double(start);
      uint64_t whole = uint64_t(start);  // wraps as the types do
      for (int64_t k = 0; k < s.n; ++k) {
        const int64_t at = (o * s.n + (reverse ? s.n - 1 - k : k)) * s.inner + i;
        const double before = running;
        const uint64_t whole_before = whole;
        if (floats)
          running = step(running, x.at(at));
        else
          whole = step(whole, uint64_t(x.int_at(at)));
        if (floats)
          y.set(at, exclusive ? before : running);
        else
          y.set_int(at, int64_t(exclusive ? whole_before : whole));
      }
    }
  return {};
}

Status reference_cum_sum(RefArgs& a) {
  return reference(a, 0, [](auto running, auto x) { return running + x; });
}
Status reference_cum_prod(RefArgs& a) {
  return reference(a, 1, [](auto running, auto x) { return running * x; });
}

}  // namespace tenon
