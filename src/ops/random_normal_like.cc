// RandomNormalLike: y = mean + scale * n, with n normally distributed; the shape is that of the input.
#include "ops/common/random.h"

namespace tenon::ops {

extern const Op op_random_normal_like{
    .name = "RandomNormalLike",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"input"}},
    .outputs = {{"output", kFloats}},
    .attrs = {optional_attr("dtype", AttrKind::i),
              {"mean", 0.0f},
              {"scale", 1.0f},
              optional_attr("seed", AttrKind::f)},
    .infer = infer_random_like,
    .reference = reference_random_normal,
    .deterministic = false,
    .samples = {{{{{2, 3}}}}, {{{{4}, DType::i32}}, {{"dtype", int64_t(DType::f32)}}}},
};

}  // namespace tenon::ops
