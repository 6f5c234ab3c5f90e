// QLinearMatMul: y = saturate(round((a - a_zero) * (b - b_zero) * a_scale * b_scale / y_scale) + y_zero);
// scales and zero points of a may be one for each row, of b one for each column.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"
#include "ops/common/quantize.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  for (size_t p : {1, 2}) TRY(check_matrix_param(a, 0, p, true));
  for (size_t p : {4, 5}) TRY(check_matrix_param(a, 3, p, false));
  for (size_t p : {6, 7})
    if (a.ranked(p))
      if (auto shape = to_concrete(a.shape(p)); shape && num_elements(*shape) != 1)
        return unsupported("QLinearMatMul with an output scale for each row");
  const DType t = a.dtype(7);
  if (!a.ranked(0) || !a.ranked(3)) return a.set_unranked(0, t), Status();
  a.set(0, t, TRY(matmul_shape(a.shape(0), a.shape(3))));
  return {};
}

// The elements minus their zero points, times the scales where those differ from row to row (column to
// column).
static std::vector<double> centered(const Tensor& x, const Tensor& scale, const Tensor& zero, bool per_row) {
  std::vector<double> v = x.to_doubles();
  if (v.empty()) return v;
  const std::vector<double> s = scale.to_doubles(), z = zero.to_doubles();
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] -= z[size_t(matrix_param_index(x.shape(), int64_t(i), int64_t(z.size()), per_row))];
    if (s.size() > 1)
      v[i] *= s[size_t(matrix_param_index(x.shape(), int64_t(i), int64_t(s.size()), per_row))];
  }
  return v;
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const auto left = centered(a.x(0), a.x(1), a.x(2), true), right = centered(a.x(3), a.x(4), a.x(5), false);
  const std::vector<double> sum = batched_matmul(left, a.x(0).shape(), right, a.x(3).shape());
  // What is common to all elements is one factor of the scales' type.
  const DType t = a.x(6).dtype();
  double factor = 1;
  for (size_t p : {1, 4})
    if (a.x(p).size() == 1) factor = round_to(t, factor * a.x(p).at(0));
  factor = round_to(t, factor / a.x(6).at(0));
  const double zero = a.x(7).at(0);
  for (int64_t i = 0; i < y.size(); ++i) store_quantized(y, i, sum[size_t(i)] * factor, zero, true);
  return {};
}

static constexpr DTypeSet kBytes = kFloat8s | DTypeSet{DType::i8, DType::u8};
static constexpr DTypeSet kScales{DType::f32, DType::f16, DType::bf16};

static Sample sample(Shape a, Shape b, DType t) {
  const double low = t == DType::i8 ? -128 : 0, high = low + 255;
  const SampleInput scale{{}, DType::f32, 0.01, 0.1}, zero{{}, t, 0, 9};
  return {
      {{std::move(a), t, low, high}, scale, zero, {std::move(b), t, low, high}, scale, zero, scale, zero}};
}

extern const Op op_qlinear_mat_mul{
    .name = "QLinearMatMul",
    .version = 21,
    .compatible_from = 10,
    .inputs = {{"a", kBytes, 'A'},
               {"a_scale", kScales, 'S'},
               {"a_zero_point", kBytes, 'A'},
               {"b", kBytes, 'B'},
               {"b_scale", kScales, 'S'},
               {"b_zero_point", kBytes, 'B'},
               {"y_scale", kScales, 'S'},
               {"y_zero_point", kBytes, 'Y'}},
    .outputs = {{"y"}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, -1)); },
    .fusion = Fusion::out_elementwise_fusable,
    .samples = {sample({3, 9}, {9, 5}, DType::u8), sample({2, 3, 4}, {2, 4, 5}, DType::i8),
                sample({3, 0}, {0, 5}, DType::u8)},
};

}  // namespace tenon::ops
