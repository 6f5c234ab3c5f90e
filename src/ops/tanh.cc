// Tanh: y = hyperbolic tangent of x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_tanh{
    .name = "Tanh",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::tanh, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
