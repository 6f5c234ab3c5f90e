// ReduceMean: y = sum(x) / count; integers truncate toward zero, over `axes`.
#include "ops/common/reduce.h"

namespace tenon::ops {

static constexpr FloatReduction kFloat{0, [](double acc, double x) { return acc + x; },
                                       [](double acc, int64_t count) { return acc / double(count); }};
static constexpr IntReduction kInt{
    [](DType) { return int64_t(0); },
    [](int64_t acc, int64_t x, bool) { return int64_t(uint64_t(acc) + uint64_t(x)); },
    [](int64_t acc, int64_t count, bool is_u64) {
      if (count == 0) return int64_t(0);
      return is_u64 ? int64_t(uint64_t(acc) / uint64_t(count)) : acc / count;
    }};

extern const Op op_reduce_mean{
    .name = "ReduceMean",
    .version = 18,
    .compatible_from = 18,
    .older = {{1, upgrade_reduce_axes}},
    .inputs = reduce_inputs(kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}),
    .outputs = {{"reduced"}},
    .attrs = reduce_attrs(),
    .infer = [](InferArgs& a) { return infer_reduce(a); },
    .reference = [](RefArgs& a) { return reference_reduce(a, kFloat, kInt); },
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 32},
    .samples = reduce_samples(),
};

}  // namespace tenon::ops
