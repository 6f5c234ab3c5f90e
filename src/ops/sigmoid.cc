// Sigmoid: y = 1 / (1 + e^-x).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_sigmoid{
    .name = "Sigmoid",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::sigmoid, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
