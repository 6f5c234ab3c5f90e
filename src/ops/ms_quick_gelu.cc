// QuickGelu: y = x * sigmoid(alpha * x).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_ms_quick_gelu{
    .name = "QuickGelu",
    .domain = "com.microsoft",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.702f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return x * unary(Prim::sigmoid, a.attrs.f("alpha") * x);
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
