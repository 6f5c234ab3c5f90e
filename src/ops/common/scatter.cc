#include "ops/common/scatter.h"

#include <algorithm>
#include <cmath>

#include "ops/common/pointwise.h"

namespace tenon {

Status check_reduction(const std::string& r) {
  if (r.empty() || r == "none" || r == "add" || r == "mul" || r == "max" || r == "min") return {};
  return invalid_model("reduction '", r, "' is none of none, add, mul, max, min");
}

static double combine(char r, double a, double b) {
  if (r == 'd') return a + b;
  if (r == 'u') return a * b;
  if (std::isnan(a) || std::isnan(b)) return NAN;
  return r == 'a' ? std::max(a, b) : std::min(a, b);
}

static int64_t combine(char r, int64_t a, int64_t b, bool is_unsigned) {
  if (r == 'd') return int64_t(uint64_t(a) + uint64_t(b));
  if (r == 'u') return int64_t(uint64_t(a) * uint64_t(b));
  const bool less = is_unsigned ? uint64_t(a) < uint64_t(b) : a < b;
  return less == (r == 'a') ? b : a;
}

void reduce_into(const std::string& reduction, Tensor& y, int64_t at, const Tensor& updates, int64_t from, int64_t n) {
  if (reduction.empty() || reduction == "none") {
    copy_elements(y.dtype(), y.data(), at, updates.data(), from, n);
    return;
  }
  const char r = reduction[1];  // aDd, mUl, mAx, mIn
  for (int64_t i = 0; i < n; ++i) {
    if (is_float(y.dtype())) y.set(at + i, combine(r, y.at(at + i), updates.at(from + i)));
    else y.set_int(at + i, combine(r, y.int_at(at + i), updates.int_at(from + i), !is_signed_int(y.dtype())));
  }
}

Status infer_scatter_elements(InferArgs& a) {
  TRY(check_reduction(a.attrs.s("reduction")));
  if (a.ranked(1) && a.ranked(2)) {
    if (a.rank(1) != a.rank(2)) return invalid_model("indices has rank ", a.rank(1), ", updates has rank ", a.rank(2));
    for (size_t i = 0; i < a.shape(1).size(); ++i) {
      const Dim &n = a.shape(1)[i], &u = a.shape(2)[i];
      if (n.is_const() && u.is_const() && !(n == u))
        return invalid_model("indices ", to_string(a.shape(1)), " and updates ", to_string(a.shape(2)), " differ in shape");
    }
  }
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  if (a.ranked(1)) {
    if (a.rank(0) != a.rank(1)) return invalid_model("data has rank ", a.rank(0), ", indices has rank ", a.rank(1));
    for (int64_t i = 0; i < a.rank(0); ++i) {
      const Dim &d = a.shape(0)[size_t(i)], &n = a.shape(1)[size_t(i)];
      if (i != axis && d.is_const() && n.is_const() && n.constant() > d.constant())
        return invalid_model("indices has size ", n.constant(), " in dimension ", i, ", data has ", d.constant());
    }
  }
  a.set(0, a.dtype(0), a.shape(0));
  const std::string& reduction = a.attrs.s("reduction");
  if (reduction.empty() || reduction == "none") propagate_values(a, {0, 2});
  return {};
}

Status reference_scatter_elements(RefArgs& a) {
  Tensor& y = a.y(0);
  const Tensor &indices = a.x(1), &updates = a.x(2);
  const int64_t axis = (a.attrs.i("axis") + y.rank()) % y.rank();
  Shape strides = row_major_strides(y.shape());
  const int64_t stride = strides[size_t(axis)];
  strides[size_t(axis)] = 0;
  copy_all(a.x(0), y);
  Walker walk(indices.shape(), {strides});
  for (int64_t e = 0; e < indices.size(); ++e, walk.next()) {
    const int64_t i = TRY(checked_index(indices.int_at(e), y.dim(axis)));
    reduce_into(a.attrs.s("reduction"), y, walk.offset(0) + i * stride, updates, e, 1);
  }
  return {};
}

}  // namespace tenon
