// LeakyRelu: y = x, or alpha * x below zero.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_leaky_relu{
    .name = "LeakyRelu",
    .version = 16,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 0.01f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return select(x < 0, a.attrs.f("alpha") * x, x);
        },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
