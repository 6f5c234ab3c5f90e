// TopK: the K largest (or smallest) elements along `axis` and their indices; of equals the lower index comes
// first.
#include <algorithm>
#include <numeric>

#include "ops/common/movement.h"
#include "ops/common/ordering.h"

namespace tenon::ops {

static Status upgrade_top_k_1(Upgrade& u) {
  u.ints_to_input("k", 1);
  return {};
}

static Status infer(InferArgs& a) {
  if (a.has_constant(1) && a.in[1].constant.size() != 1) return invalid_model("K is not a scalar");
  const auto k = known_scalar(a, 1);
  if (k && known_negative(*k).value_or(false)) return invalid_model("K is negative");
  if (!a.ranked(0)) {
    a.set_unranked(0, a.dtype(0));
    a.set_unranked(1, DType::i64);
    return {};
  }
  SymShape shape = a.shape(0);
  Dim& d = shape[size_t(TRY(a.axis(a.attrs.i("axis"), a.rank(0))))];
  if (k && k->is_const() && d.is_const() && k->constant() > d.constant())
    return invalid_model("K is ", k->constant(), ", the axis has ", d.constant(), " elements");
  d = k ? *k : a.fresh("k");
  a.set(0, a.dtype(0), shape);
  a.set(1, DType::i64, shape);
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  if (x.size() == 0) return {};
  const AxisSplit s = split_at(x.shape(), (a.attrs.i("axis") + x.rank()) % x.rank());
  const int64_t k = a.x(1).int_at(0);
  const bool largest = a.attrs.i("largest") != 0;
  const std::vector<int64_t> keys = order_keys(x);  // [outer, n, inner]
  Ints order(static_cast<size_t>(s.n));
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      auto at = [&](int64_t e) { return (o * s.n + e) * s.inner + i; };
      std::iota(order.begin(), order.end(), int64_t(0));
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t p, int64_t q) {
        const int64_t u = keys[size_t(at(p))], v = keys[size_t(at(q))];
        return u != v ? (u > v) == largest : p < q;
      });
      for (int64_t e = 0; e < k; ++e) {
        const int64_t to = (o * k + e) * s.inner + i, from = order[size_t(e)];
        copy_elements(x.dtype(), a.y(0).data(), to, x.data(), at(from), 1);
        if (a.wants(1)) a.y(1).set_int(to, from);
      }
    }
  return {};
}

extern const Op op_top_k{
    .name = "TopK",
    .version = 24,
    .compatible_from = 10,
    .older = {{1, upgrade_top_k_1}},
    .inputs = {{"X", kNumeric}, {"K", DType::i64, 0}},
    .outputs = {{"Values"}, {"Indices", DType::i64, 0}},
    .attrs = {{"axis", int64_t(-1)}, {"largest", int64_t(1)}, {"sorted", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{3, 7}}, {{1}, DType::i64, 0, 0, {3}}}, {}, 2},
                {{{{5, 2}, DType::i32, -2, 2}, {{1}, DType::i64, 0, 0, {2}}},
                 {{"axis", int64_t(0)}, {"largest", int64_t(0)}},
                 2},
                {{{{3, 7}}, {{1}, DType::i64, 0, 0, {0}}}, {}, 2}},
};

}  // namespace tenon::ops
