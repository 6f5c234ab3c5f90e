// Swish: y = x * sigmoid(alpha * x).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_swish{
    .name = "Swish",
    .version = 24,
    .compatible_from = 24,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.0f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return x * unary(Prim::sigmoid, a.attrs.f("alpha") * x);
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}, {{{{3, 3}}}, {{"alpha", 1.5f}}}},
};

}  // namespace tenon::ops
