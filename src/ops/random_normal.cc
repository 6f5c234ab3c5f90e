// RandomNormal: y = mean + scale * n, with n normally distributed; the shape is an attribute.
#include "ops/common/random.h"

namespace tenon::ops {

extern const Op op_random_normal{
    .name = "RandomNormal",
    .version = 22,
    .compatible_from = 1,
    .outputs = {{"output", kFloats}},
    .attrs = {required_attr("shape", AttrKind::ints),
              {"dtype", int64_t(DType::f32)},
              {"mean", 0.0f},
              {"scale", 1.0f},
              optional_attr("seed", AttrKind::f)},
    .infer = infer_random,
    .reference = reference_random_normal,
    .deterministic = false,
    .samples = {{{}, {{"shape", Ints{2, 3}}, {"seed", 7.0f}}}, {{}, {{"shape", Ints{0, 3}}}}},
};

}  // namespace tenon::ops
