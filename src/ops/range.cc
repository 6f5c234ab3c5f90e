// Range: start, start + delta, ... before limit: max(ceil((limit - start) / delta), 0) numbers.
#include <cmath>

#include "ops/common/movement.h"

namespace tenon::ops {

static Result<Dim> float_length(const InferArgs& a) {
  for (size_t i = 0; i < 3; ++i)
    if (!a.has_constant(i)) return a.fresh("range");
  const double start = a.in[0].constant.at(0), limit = a.in[1].constant.at(0), delta = a.in[2].constant.at(0);
  if (delta == 0) return invalid_model("delta is 0");
  const double n = std::ceil((limit - start) / delta);
  if (!(n < 0x1p56)) return invalid_model("a range from ", start, " to ", limit, " by ", delta, " does not end");
  return Dim(n > 0 ? int64_t(n) : 0);
}

static Status infer(InferArgs& a) {
  for (size_t i = 0; i < 3; ++i)
    if (a.has_constant(i) && a.in[i].constant.size() != 1)
      return invalid_model("input '", a.op.inputs[i].name, "' is not a scalar");
  if (is_float(a.dtype(0))) return a.set(0, a.dtype(0), {TRY(float_length(a))}), Status();
  const auto start = known_scalar(a, 0), limit = known_scalar(a, 1), delta = known_scalar(a, 2);
  if (delta && delta->is(0)) return invalid_model("delta is 0");
  // delta = -2^63 has no opposite; the lead over one step is the same for any step longer than the span.
  constexpr int64_t kLongest = int64_t(1) << 61;
  if (!start || !limit || !delta || !delta->is_const()) return a.set(0, a.dtype(0), {a.fresh("range")}), Status();
  const int64_t step = std::max(std::min(delta->constant(), kLongest), -kLongest);
  const Dim span = step > 0 ? *limit - *start : *start - *limit;
  const Dim n = max(ceil_div(span, std::abs(step)), Dim(0));
  a.set(0, a.dtype(0), {n});
  constexpr int64_t kMost = 256;
  if (!n.is_const() || n.constant() > kMost) return {};
  std::vector<Dim> value;
  for (int64_t i = 0; i < n.constant(); ++i) value.push_back(*start + Dim(i) * *delta);
  a.set_value(0, std::move(value));
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const int64_t n = y.size();
  if (is_float(y.dtype())) {
    const double start = a.x(0).at(0), delta = a.x(2).at(0);
    for (int64_t i = 0; i < n; ++i) y.set(i, start + double(i) * delta);
  } else {
    uint64_t v = uint64_t(a.x(0).int_at(0));  // unsigned, so that the step past the last number may wrap
    for (int64_t i = 0; i < n; ++i, v += uint64_t(a.x(2).int_at(0))) y.set_int(i, int64_t(v));
  }
  return {};
}

constexpr DTypeSet kTypes = kFloats | DTypeSet{DType::i16, DType::i32, DType::i64};

extern const Op op_range{
    .name = "Range",
    .version = 27,
    .compatible_from = 11,
    .inputs = {{"start", kTypes}, {"limit", kTypes}, {"delta", kTypes}},
    .outputs = {{"output"}},
    .attrs = {{"stash_type", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{}, DType::i64, 0, 0, {3}}, {{}, DType::i64, 0, 0, {11}}, {{}, DType::i64, 0, 0, {3}}}},
                {{{{}, DType::f32, 0, 0, {1}}, {{}, DType::f32, 0, 0, {-2}}, {{}, DType::f32, 0, 0, {-0.5}}}},
                {{{{}, DType::i32, 0, 0, {5}}, {{}, DType::i32, 0, 0, {5}}, {{}, DType::i32, 0, 0, {1}}}}},
};

}  // namespace tenon::ops
