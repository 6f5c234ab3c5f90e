// com.microsoft MatMulIntegerToFloat: y = (A - a_zero) * (B - b_zero) * a_scale * b_scale + bias; scale and
// zero point of B may be one for each column.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

enum Input : size_t { kA, kB, kAScale, kBScale, kAZero, kBZero, kBias };

static Status infer(InferArgs& a) {
  for (size_t p : {kAScale, kAZero})
    if (a.ranked(p))
      if (auto shape = to_concrete(a.shape(p)); shape && num_elements(*shape) != 1)
        return unsupported("input '", a.op.inputs[p].name, "' of more than one value");
  for (size_t p : {kBScale, kBZero, kBias}) TRY(check_matrix_param(a, kB, p, false));
  const DType t = a.dtype(kAScale);
  if (!a.ranked(kA) || !a.ranked(kB)) return a.set_unranked(0, t), Status();
  a.set(0, t, TRY(matmul_shape(a.shape(kA), a.shape(kB))));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor none;
  Tensor& y = a.y(0);
  const auto left = TRY(centered_ints(a.x(kA), a.has(kAZero) ? a.x(kAZero) : none, true));
  const auto right = TRY(centered_ints(a.x(kB), a.has(kBZero) ? a.x(kBZero) : none, false));
  const std::vector<double> a_scale = a.x(kAScale).to_doubles(), b_scale = a.x(kBScale).to_doubles();
  const std::vector<double> bias = a.has(kBias) ? a.x(kBias).to_doubles() : std::vector<double>{0};
  const std::vector<int64_t> sum = batched_matmul(left, a.x(kA).shape(), right, a.x(kB).shape());
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t n = a.x(kB).rank() > 1 ? i % a.x(kB).shape().back() : 0;
    auto of_column = [n](const std::vector<double>& v) { return v[v.size() == 1 ? 0 : size_t(n)]; };
    y.set(i, double(sum[size_t(i)]) * a_scale[0] * of_column(b_scale) + of_column(bias));
  }
  return {};
}

static constexpr DTypeSet kBytes{DType::i8, DType::u8};
static constexpr DTypeSet kScales{DType::f32, DType::f16};

extern const Op op_ms_mat_mul_integer_to_float{
    .name = "MatMulIntegerToFloat",
    .domain = "com.microsoft",
    .inputs = {{"A", kBytes, 'A'},
               {"B", kBytes, 'B'},
               {"a_scale", kScales, 'S'},
               {"b_scale", kScales, 'S'},
               {"a_zero_point", kBytes, 'A', Param::optional},
               {"b_zero_point", kBytes, 'B', Param::optional},
               {"bias", kScales, 'S', Param::optional}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, -1)); },
    .fusion = Fusion::out_elementwise_fusable,
    .samples = {{{{{4, 9}, DType::u8, 0, 255},
                  {{9, 3}, DType::i8, -128, 127},
                  {{}, DType::f32, 0.01, 0.1},
                  {{3}, DType::f32, 0.01, 0.1},
                  {{}, DType::u8, 100, 150},
                  {{3}, DType::i8, -3, 3},
                  {{3}}}}},
};

}  // namespace tenon::ops
