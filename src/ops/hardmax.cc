// Hardmax: 1 for the first largest element along `axis`, 0 for the others.
#include "ops/common/movement.h"
#include "ops/common/ordering.h"
#include "ops/common/softmax.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const AxisSplit s = split_at(x.shape(), (a.attrs.i("axis") + x.rank()) % x.rank());
  const std::vector<int64_t> keys = order_keys(x);  // [outer, n, inner]
  fill_zero(y);
  if (x.size() == 0) return {};
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      auto at = [&](int64_t e) { return (o * s.n + e) * s.inner + i; };
      int64_t best = 0;
      for (int64_t e = 1; e < s.n; ++e)
        if (keys[size_t(at(e))] > keys[size_t(at(best))]) best = e;
      y.set(at(best), 1);
    }
  return {};
}

extern const Op op_hardmax{
    .name = "Hardmax",
    .version = 13,
    .compatible_from = 13,
    .older = {{1, upgrade_softmax_1}},
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(-1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .samples = {{{{{3, 7}}}}, {{{{2, 3, 4}}}, {{"axis", int64_t(1)}}}, {{{{0, 4}}}}},
};

}  // namespace tenon::ops
