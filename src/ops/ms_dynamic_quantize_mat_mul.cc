// com.microsoft DynamicQuantizeMatMul: A is quantised to u8 by its own range, then
// y = (A8 - a_zero) * (B - b_zero) * a_scale * b_scale + bias; scale and zero point of B may be one for each
// column.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"
#include "ops/common/quantize.h"

namespace tenon::ops {

enum Input : size_t { kA, kB, kBScale, kBZero, kBias };

static Status infer(InferArgs& a) {
  for (size_t p : {kBScale, kBZero, kBias}) TRY(check_matrix_param(a, kB, p, false));
  if (!a.ranked(kA) || !a.ranked(kB)) return a.set_unranked(0, DType::f32), Status();
  a.set(0, DType::f32, TRY(matmul_shape(a.shape(kA), a.shape(kB))));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor none;
  Tensor& y = a.y(0);
  const std::vector<double> x = a.x(kA).to_doubles();
  const DynamicRange range = dynamic_range(x);
  std::vector<int64_t> left;
  for (double v : x)
    left.push_back(quantized(double(float(v) / range.scale), double(range.zero_point), DType::u8) -
                   range.zero_point);
  const auto right = TRY(centered_ints(a.x(kB), a.has(kBZero) ? a.x(kBZero) : none, false));
  const std::vector<double> scale = a.x(kBScale).to_doubles();
  const std::vector<double> bias = a.has(kBias) ? a.x(kBias).to_doubles() : std::vector<double>{0};
  const std::vector<int64_t> sum = batched_matmul(left, a.x(kA).shape(), right, a.x(kB).shape());
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t n = a.x(kB).rank() > 1 ? i % a.x(kB).shape().back() : 0;
    auto of_column = [n](const std::vector<double>& v) { return v[v.size() == 1 ? 0 : size_t(n)]; };
    y.set(i, double(sum[size_t(i)]) * double(range.scale) * of_column(scale) + of_column(bias));
  }
  return {};
}

static constexpr DTypeSet kBytes{DType::i8, DType::u8};

extern const Op op_ms_dynamic_quantize_mat_mul{
    .name = "DynamicQuantizeMatMul",
    .domain = "com.microsoft",
    .inputs = {{"A", DType::f32, 'T'},
               {"B", kBytes, 'B'},
               {"b_scale", DType::f32, 'T'},
               {"b_zero_point", kBytes, 'B', Param::optional},
               {"bias", DType::f32, 'T', Param::optional}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, -1)); },
    .samples = {{{{{4, 9}}, {{9, 3}, DType::i8, -128, 127}, {{3}, DType::f32, 0.01, 0.1}}},
                {{{{2, 4, 9}},
                  {{9, 3}, DType::u8, 0, 255},
                  {{}, DType::f32, 0.01, 0.1},
                  {{}, DType::u8, 120, 130},
                  {{3}}}}},
};

}  // namespace tenon::ops
