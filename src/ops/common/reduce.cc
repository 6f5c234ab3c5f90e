#include "ops/common/reduce.h"

#include <cmath>

#include "ops/common/pointwise.h"

namespace tenon {

Status infer_reduce(InferArgs& a, Dim (*symbolic)(const std::vector<Dim>&)) {
  const DType t = a.dtype(0);
  const bool keep = a.attrs.i("keepdims", 1) != 0, noop = a.attrs.i("noop_with_empty_axes") != 0;
  if (a.ranked(1) && a.rank(1) > 1) return invalid_model("axes must be a vector, it has rank ", a.rank(1));
  std::optional<Ints> axes = a.has(1) ? a.const_ints(1) : std::optional<Ints>(Ints());
  if (!axes && a.ranked(1) && a.rank(1) == 1 && a.shape(1)[0].is(0)) axes = Ints();
  if (!a.ranked(0)) {
    if (axes && axes->empty() && !noop && !keep) return a.set(0, t, {}), Status();
    return a.set_unranked(0, t), Status();
  }
  const int64_t rank = a.rank(0);
  if (!axes) {  // which axes go is not known before the run
    if (keep) return a.set_fresh(0, t, size_t(rank), "reduced"), Status();
    if (a.ranked(1) && a.rank(1) == 1 && a.shape(1)[0].is_const() && a.shape(1)[0].constant() <= rank)
      return a.set_fresh(0, t, size_t(rank - a.shape(1)[0].constant()), "reduced"), Status();
    return a.set_unranked(0, t), Status();
  }
  std::vector<bool> reduced(size_t(rank), axes->empty() && !noop);
  for (int64_t axis : *axes) reduced[size_t(TRY(a.axis(axis, rank)))] = true;
  SymShape shape;
  for (size_t i = 0; i < size_t(rank); ++i) {
    if (!reduced[i])
      shape.push_back(a.shape(0)[i]);
    else if (keep)
      shape.push_back(Dim(1));
  }
  a.set(0, t, shape);
  if (!symbolic || !a.value(0)) return {};
  if (rank == 1 && reduced[0])
    a.set_value(0, {symbolic(*a.value(0))});
  else
    a.set_value(0, *a.value(0));  // one element, or nothing reduced
  return {};
}

std::vector<bool> reduced_axes(const RefArgs& a) {
  const int64_t rank = a.x(0).rank();
  const Ints axes = a.has(1) ? a.x(1).to_ints() : Ints();
  std::vector<bool> reduced(size_t(rank), axes.empty() && a.attrs.i("noop_with_empty_axes") == 0);
  for (int64_t axis : axes) reduced[size_t(axis < 0 ? axis + rank : axis)] = true;
  return reduced;
}

// Calls visit(output offset) for every input element in order; returns how many elements each output has.
template <class Visit>
static int64_t for_each_element(const RefArgs& a, const Visit& visit) {
  const Shape& shape = a.x(0).shape();
  const std::vector<bool> reduced = reduced_axes(a);
  Shape strides(shape.size());
  int64_t stride = 1, count = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = reduced[d] ? 0 : stride;
    (reduced[d] ? count : stride) *= shape[d];
  }
  Walker walk(shape, {strides});
  for (int64_t e = 0, n = a.x(0).size(); e < n; ++e, walk.next()) visit(size_t(e), size_t(walk.offset(0)));
  return count;
}

static std::vector<double> reduce_doubles(const RefArgs& a, size_t outputs, const FloatReduction& f) {
  const std::vector<double> x = a.x(0).to_doubles();
  std::vector<double> acc(outputs, f.first);
  const int64_t count = for_each_element(a, [&](size_t e, size_t o) { acc[o] = f.step(acc[o], x[e]); });
  for (double& v : acc) v = f.last(v, count);
  return acc;
}

static int64_t truncated(double v) {
  if (std::isnan(v)) return 0;
  if (v >= 9223372036854775807.0) return INT64_MAX;
  return v <= -9223372036854775808.0 ? INT64_MIN : int64_t(v);
}

Status reference_reduce(RefArgs& a, const FloatReduction& f) {
  Tensor& y = a.y(0);
  const std::vector<double> out = reduce_doubles(a, size_t(y.size()), f);
  if (is_float(y.dtype())) {
    store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  } else {
    for (int64_t i = 0; i < y.size(); ++i) y.set_int(i, truncated(out[size_t(i)]));
  }
  return {};
}

Status reference_reduce(RefArgs& a, const FloatReduction& f, const IntReduction& g) {
  Tensor& y = a.y(0);
  if (is_float(y.dtype())) return reference_reduce(a, f);
  const bool is_u64 = y.dtype() == DType::u64;
  const std::vector<int64_t> x = a.x(0).to_ints();
  std::vector<int64_t> acc(size_t(y.size()), g.first(y.dtype()));
  const int64_t count =
      for_each_element(a, [&](size_t e, size_t o) { acc[o] = g.step(acc[o], x[e], is_u64); });
  if (g.last)
    for (int64_t& v : acc) v = g.last(v, count, is_u64);
  store_ints(y.dtype(), y.data(), 0, y.size(), acc.data());
  return {};
}

Status upgrade_reduce_axes(Upgrade& u) {
  u.ints_to_input("axes", 1);
  return {};
}

std::vector<Param> reduce_inputs(DTypeSet types) {
  return {{"data", types}, {"axes", DType::i64, 0, Param::optional}};
}

std::vector<AttrSpec> reduce_attrs() {
  return {{"keepdims", int64_t(1)}, {"noop_with_empty_axes", int64_t(0)}};
}

std::vector<Sample> reduce_samples() {
  auto axes = [](std::vector<double> v) {
    SampleInput s{{int64_t(v.size())}, DType::i64};
    s.values = std::move(v);
    return s;
  };
  const DType f = DType::f32;
  return {{{{{3, 5, 7}, f, 0.5, 2}, axes({1})}, {}},
          {{{{2, 129}, f, 0.5, 2}, axes({-1})}, {{"keepdims", int64_t(0)}}},
          {{{{2, 3, 4, 5}, f, 0.5, 2}, axes({0, 2})}, {{"keepdims", int64_t(0)}}},
          {{{{0, 4}, f, 0.5, 2}, axes({1})}, {}},
          {{{{4, 3}, f, 0.5, 2}}, {}}};
}

}  // namespace tenon
