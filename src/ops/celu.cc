// Celu: y = max(0, x) + min(0, alpha * (e^(x / alpha) - 1)).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_celu{
    .name = "Celu",
    .version = 28,
    .compatible_from = 12,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.0f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          const double alpha = a.attrs.f("alpha");
          return max(x, 0) + min(alpha * unary(Prim::expm1, x / alpha), 0);
        },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}, {{{{3, 3}}}, {{"alpha", 2.0f}}}},
};

}  // namespace tenon::ops
