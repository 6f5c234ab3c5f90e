// Selu: y = gamma * x above zero, gamma * alpha * (e^x - 1) below.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_selu{
    .name = "Selu",
    .version = 22,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.67326319217681884765625f}, {"gamma", 1.05070102214813232421875f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return a.attrs.f("gamma") * select(x > 0, x, a.attrs.f("alpha") * unary(Prim::expm1, x));
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
