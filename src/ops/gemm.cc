// Gemm: y = alpha * A' * B' + beta * C, where ' transposes if transA (transB) says so and C broadcasts to y.
#include "ops/common/flops.h"
#include "ops/common/gemm.h"

#include <cmath>

#include "ops/common/matmul.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

static constexpr DTypeSet kTypes = kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64};

// Integers stay exact where alpha and beta are whole numbers; else the sum is truncated.
static void reference_ints(RefArgs& a) {
  const bool ta = a.attrs.i("transA") != 0, tb = a.attrs.i("transB") != 0;
  const float alpha = a.attrs.f("alpha"), beta = a.attrs.f("beta");
  const Tensor &x = a.x(0), &w = a.x(1);
  Tensor& y = a.y(0);
  std::vector<int64_t> left = x.to_ints(), right = w.to_ints();
  if (ta) left = transpose_last_two(left, x.shape());
  if (tb) right = transpose_last_two(right, w.shape());
  std::vector<int64_t> out = batched_matmul(left, {x.dim(ta), x.dim(!ta)}, right, {w.dim(tb), w.dim(!tb)});
  const std::vector<int64_t> c = a.has(2) ? a.x(2).to_ints() : std::vector<int64_t>();
  Walker walk(y.shape(), {c.empty() ? Shape{0, 0} : broadcast_strides(a.x(2).shape(), y.shape())});
  auto scaled = [](float factor, int64_t v) -> uint64_t {
    if (factor == 1) return uint64_t(v);
    const double product = double(factor) * double(v);
    return std::abs(product) < 9e18 ? uint64_t(int64_t(product)) : 0;
  };
  for (int64_t& v : out) {
    v = int64_t(scaled(alpha, v) + (c.empty() ? 0 : scaled(beta, c[size_t(walk.offset(0))])));
    walk.next();
  }
  store_ints(y.dtype(), y.data(), 0, y.size(), out.data());
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (!is_float(y.dtype())) return reference_ints(a), Status();
  store_doubles(y.dtype(), y.data(), 0, y.size(), gemm_doubles(a).data());
  return {};
}

extern const Op op_gemm{
    .name = "Gemm",
    .version = 13,
    .compatible_from = 7,
    .inputs = {{"A", kTypes}, {"B", kTypes}, {"C", kTypes, 'T', Param::optional}},
    .attrs = {{"alpha", 1.0f},
              {"beta", 1.0f},
              {"exact", int64_t(0)},  // not ONNX's: lower_precision sets it where float32 factors must not be rounded to tf32
              {"transA", int64_t(0)},
              {"transB", int64_t(0)}},
    .infer = infer_gemm,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, a.attrs.i("transA") ? 0 : 1)); },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{3, 5}}, {{5, 7}}, {{7}}}},
                {{{{5, 3}}, {{7, 5}}, {{3, 1}}},
                 {{"transA", int64_t(1)}, {"transB", int64_t(1)}, {"alpha", 0.5f}}},
                {{{{17, 33}}, {{19, 33}}}, {{"transB", int64_t(1)}, {"beta", 0.0f}}},
                {{{{2, 0}}, {{0, 3}}, {{}}}}},
};

}  // namespace tenon::ops
