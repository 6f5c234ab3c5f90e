// ReduceLogSum: y = log(sum(x)), over `axes`.
#include "ops/common/reduce.h"

#include <cmath>

namespace tenon::ops {

static constexpr FloatReduction kFloat{0, [](double acc, double x) { return acc + x; },
                                       [](double acc, int64_t) { return std::log(acc); }};

extern const Op op_reduce_log_sum{
    .name = "ReduceLogSum",
    .version = 28,
    .compatible_from = 18,
    .older = {{1, upgrade_reduce_axes}},
    .inputs = reduce_inputs(kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}),
    .outputs = {{"reduced"}},
    .attrs = reduce_attrs(),
    .infer = [](InferArgs& a) { return infer_reduce(a); },
    .reference = [](RefArgs& a) { return reference_reduce(a, kFloat); },
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 32},
    .samples = reduce_samples(),
};

}  // namespace tenon::ops
