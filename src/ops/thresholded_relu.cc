// ThresholdedRelu: y = x where x > alpha, else 0.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_thresholded_relu{
    .name = "ThresholdedRelu",
    .version = 22,
    .compatible_from = 10,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.0f}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return select(x > a.attrs.f("alpha"), x, x.same(0));
        },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
