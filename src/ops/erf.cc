// Erf: y = the error function, 2/sqrt(pi) * integral of e^(-t^2) from 0 to x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_erf{
    .name = "Erf",
    .version = 13,
    .compatible_from = 9,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::erf, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
