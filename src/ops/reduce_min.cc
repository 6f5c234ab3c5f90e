// ReduceMin: y = min(x) over `axes`; NaN wins. Over nothing it is the type's highest value.
#include "ops/common/reduce.h"

#include <cmath>

namespace tenon::ops {

static Dim fold(const std::vector<Dim>& elements) {
  Dim d = elements.empty() ? Dim(INT64_MAX) : elements[0];
  for (const Dim& e : elements) d = min(d, e);
  return d;
}

static int64_t first(DType t) {
  if (t == DType::boolean) return 1;
  const int width = is_signed_int(t) ? bits(t) - 1 : bits(t);
  return int64_t(width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1);
}

static int64_t step(int64_t acc, int64_t x, bool is_u64) {
  return (is_u64 ? uint64_t(x) < uint64_t(acc) : x < acc) ? x : acc;
}

static constexpr FloatReduction kFloat{
    HUGE_VAL, [](double acc, double x) { return x < acc || std::isnan(x) ? x : acc; },
    [](double acc, int64_t) { return acc; }};
static constexpr IntReduction kInt{first, step, nullptr};

extern const Op op_reduce_min{
    .name = "ReduceMin",
    .version = 20,
    .compatible_from = 18,
    .older = {{1, upgrade_reduce_axes}},
    .inputs = reduce_inputs(kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64, DType::i8,
                                               DType::u8, DType::boolean}),
    .outputs = {{"reduced"}},
    .attrs = reduce_attrs(),
    .infer = [](InferArgs& a) { return infer_reduce(a, fold); },
    .reference = [](RefArgs& a) { return reference_reduce(a, kFloat, kInt); },
    .fusion = Fusion::reduction,
    .samples = reduce_samples(),
};

}  // namespace tenon::ops
