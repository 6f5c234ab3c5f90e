// RandomUniform: y is uniformly distributed in [low, high); the shape is an attribute.
#include "ops/common/random.h"

namespace tenon::ops {

extern const Op op_random_uniform{
    .name = "RandomUniform",
    .version = 22,
    .compatible_from = 1,
    .outputs = {{"output", kFloats}},
    .attrs = {required_attr("shape", AttrKind::ints),
              {"dtype", int64_t(DType::f32)},
              {"low", 0.0f},
              {"high", 1.0f},
              optional_attr("seed", AttrKind::f)},
    .infer = infer_random,
    .reference = reference_random_uniform,
    .deterministic = false,
    .samples = {{{}, {{"shape", Ints{2, 3}}, {"seed", 7.0f}}}, {{}, {{"shape", Ints{0, 3}}}}},
};

}  // namespace tenon::ops
