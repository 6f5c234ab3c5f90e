// Softplus: y = ln(1 + e^x), as max(x, 0) + ln(1 + e^-|x|) so that nothing overflows.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_softplus{
    .name = "Softplus",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return max(x, 0) + unary(Prim::log1p, unary(Prim::exp, -unary(Prim::abs, x)));
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
