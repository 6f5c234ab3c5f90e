// OneHot: a new dimension of size depth at `axis` that holds values[1] at the index and values[0] elsewhere.
#include <cmath>

#include "ops/common/movement.h"

namespace tenon::ops {

static std::optional<Dim> depth_of(const InferArgs& a) {
  if (!a.has_constant(1) || !is_float(a.dtype(1))) return known_scalar(a, 1);
  const Tensor& t = a.in[1].constant;
  if (t.size() != 1) return std::nullopt;
  const double v = t.at(0);
  return Dim(v >= 0 && v < 0x1p56 ? int64_t(v) : -1);
}

static Status infer(InferArgs& a) {
  if (a.has_constant(1) && a.in[1].constant.size() != 1) return invalid_model("depth is not a scalar");
  if (a.has_constant(2) && a.in[2].constant.size() != 2) return invalid_model("values has not two elements");
  const auto depth = depth_of(a);
  if (depth && known_negative(*depth).value_or(false)) return invalid_model("depth is negative");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(2)), Status();
  SymShape shape = a.shape(0);
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0) + 1));
  shape.insert(shape.begin() + axis, depth ? *depth : a.fresh("depth"));
  a.set(0, a.dtype(2), shape);
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &indices = a.x(0), &values = a.x(2);
  Tensor& y = a.y(0);
  const AxisSplit s = split_at(y.shape(), (a.attrs.i("axis") + y.rank()) % y.rank());
  fill(y, values);
  for (int64_t e = 0; e < indices.size(); ++e) {
    int64_t i = 0;
    if (is_float(indices.dtype())) {
      const double v = indices.at(e);
      if (!(std::fabs(v) < 0x1p56)) continue;
      i = int64_t(v);
    } else {
      i = indices.int_at(e);
    }
    if (i < -s.n || i >= s.n) continue;  // out of range: all off
    if (i < 0) i += s.n;
    copy_elements(y.dtype(), y.data(), (e / s.inner * s.n + i) * s.inner + e % s.inner, values.data(), 1, 1);
  }
  return {};
}

extern const Op op_one_hot{
    .name = "OneHot",
    .version = 28,
    .compatible_from = 9,
    .inputs = {{"indices", kNumeric, 0}, {"depth", kNumeric, 0}, {"values", kAny}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(-1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples =
        {{{{{2, 3}, DType::i64, -4, 4}, {{}, DType::i64, 0, 0, {4}}, {{2}, DType::f32, 0, 0, {0, 1}}}},
         {{{{3}, DType::f32, 0, 0, {0, 2, 9}}, {{1}, DType::f32, 0, 0, {3}}, {{2}, DType::i32, 0, 0, {5, 7}}},
          {{"axis", int64_t(0)}}}},
};

}  // namespace tenon::ops
