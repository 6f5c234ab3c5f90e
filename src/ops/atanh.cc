// Atanh: y = ln((1 + x) / (1 - x)) / 2, x in (-1, 1).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_atanh{
    .name = "Atanh",
    .version = 22,
    .compatible_from = 9,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::atanh, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}, DType::f32, -0.9, 0.9}}},
                {{{{0, 4}, DType::f32, -0.9, 0.9}}},
                {{{{17}, DType::f16, -0.9, 0.9}}}},
};

}  // namespace tenon::ops
