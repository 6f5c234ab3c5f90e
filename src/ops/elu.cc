// Elu: y = x above zero, alpha * (e^x - 1) below.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_elu{
    .name = "Elu",
    .version = 22,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.0f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return select(x < 0, a.attrs.f("alpha") * unary(Prim::expm1, x), x);
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}, {{{{3, 3}}}, {{"alpha", 0.5f}}}},
};

}  // namespace tenon::ops
