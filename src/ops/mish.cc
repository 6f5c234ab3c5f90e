// Mish: y = x * tanh(softplus(x)).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_mish{
    .name = "Mish",
    .version = 22,
    .compatible_from = 18,
    .inputs = {{"X", kFloats}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          S softplus = max(x, 0) + unary(Prim::log1p, unary(Prim::exp, -unary(Prim::abs, x)));
          return x * unary(Prim::tanh, softplus);
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
