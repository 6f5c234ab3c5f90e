// Unique: the distinct elements, or distinct slices along `axis`, with where each first occurs, which of them
// every input element is, and how often each occurs. Sorted, or in the order of first occurrence.
#include <algorithm>
#include <numeric>

#include "ops/common/movement.h"
#include "ops/common/ordering.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const Dim n = a.fresh("unique");
  Dim all;
  if (!a.attrs.has("axis")) {
    a.set(0, a.dtype(0), {n});
    all = a.ranked(0) ? product(a.shape(0)) : a.fresh("elements");
  } else if (a.ranked(0)) {
    const size_t axis = size_t(TRY(a.axis(a.attrs.i("axis"), a.rank(0))));
    SymShape shape = a.shape(0);
    all = shape[axis];
    shape[axis] = n;
    a.set(0, a.dtype(0), shape);
  } else {
    a.set_unranked(0, a.dtype(0));
    all = a.fresh("elements");
  }
  a.set(1, DType::i64, {n});
  a.set(2, DType::i64, {all});
  a.set(3, DType::i64, {n});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Shape shape = a.attrs.has("axis") ? x.shape() : Shape{x.size()};
  const int64_t rank = int64_t(shape.size()), axis = (a.attrs.i("axis") + rank) % rank;
  const AxisSplit s = split_at(shape, axis);
  if (x.size() == 0 && s.n > 0) return unsupported("Unique of slices without elements");
  const std::vector<int64_t> keys = order_keys(x);  // [outer, n, inner]
  auto order = [&](int64_t p, int64_t q) {  // -1, 0, 1 as slice p is before, equal to or after slice q
    for (int64_t o = 0; o < s.outer; ++o)
      for (int64_t i = 0; i < s.inner; ++i) {
        const int64_t u = keys[size_t((o * s.n + p) * s.inner + i)],
                      v = keys[size_t((o * s.n + q) * s.inner + i)];
        if (u != v) return u < v ? -1 : 1;
      }
    return 0;
  };
  Ints sorted(static_cast<size_t>(s.n));
  std::iota(sorted.begin(), sorted.end(), int64_t(0));
  std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t p, int64_t q) { return order(p, q) < 0; });
  Ints first, count, group(sorted.size());  // the groups of equal slices, in sorted order
  for (int64_t i : sorted) {
    if (first.empty() || order(first.back(), i) != 0) {
      first.push_back(i);
      count.push_back(0);
    }
    group[size_t(i)] = int64_t(first.size()) - 1;
    ++count.back();
  }
  Ints place(first.size());  // group numbers in the order of the output
  std::iota(place.begin(), place.end(), int64_t(0));
  if (a.attrs.i("sorted") == 0)
    std::sort(place.begin(), place.end(),
              [&](int64_t p, int64_t q) { return first[size_t(p)] < first[size_t(q)]; });

  const int64_t n = int64_t(first.size());
  shape[size_t(axis)] = n;
  Tensor& y = *TRY(a.allocate(0, x.dtype(), shape));
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t k = 0; k < n; ++k)
      copy_elements(x.dtype(), y.data(), (o * n + k) * s.inner, x.data(),
                    (o * s.n + first[size_t(place[size_t(k)])]) * s.inner, s.inner);
  Ints rank_of(place.size());
  for (size_t k = 0; k < place.size(); ++k) rank_of[size_t(place[k])] = int64_t(k);
  if (a.wants(1)) {
    Tensor& indices = *TRY(a.allocate(1, DType::i64, {n}));
    for (int64_t k = 0; k < n; ++k) indices.set_int(k, first[size_t(place[size_t(k)])]);
  }
  if (a.wants(2)) {
    Tensor& inverse = *TRY(a.allocate(2, DType::i64, {s.n}));
    for (int64_t i = 0; i < s.n; ++i) inverse.set_int(i, rank_of[size_t(group[size_t(i)])]);
  }
  if (a.wants(3)) {
    Tensor& counts = *TRY(a.allocate(3, DType::i64, {n}));
    for (int64_t k = 0; k < n; ++k) counts.set_int(k, count[size_t(place[size_t(k)])]);
  }
  return {};
}

extern const Op op_unique{
    .name = "Unique",
    .version = 28,
    .compatible_from = 11,
    .inputs = {{"X", kNumeric | kBool}},
    .outputs = {{"Y"},
                {"indices", DType::i64, 0, Param::optional},
                {"inverse_indices", DType::i64, 0, Param::optional},
                {"counts", DType::i64, 0, Param::optional}},
    .attrs = {optional_attr("axis", AttrKind::i), {"sorted", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{6}, DType::i64, 0, 0, {2, 1, 1, 3, 4, 3}}}, {}, 4},
                {{{{6}, DType::f32, 0, 0, {2, 1, 1, 3, 4, 3}}}, {{"sorted", int64_t(0)}}, 4},
                {{{{3, 2}, DType::u8, 0, 1}}, {{"axis", int64_t(0)}}, 2},
                {{{{0}}}, {}, 4}},
};

}  // namespace tenon::ops
