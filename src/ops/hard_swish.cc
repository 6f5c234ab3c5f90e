// HardSwish: y = x * max(0, min(1, x / 6 + 1/2)).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_hard_swish{
    .name = "HardSwish",
    .version = 22,
    .compatible_from = 14,
    .inputs = {{"X", kFloats}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return x * max(min(x / 6 + 0.5, 1), 0);
        },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}, DType::f32, -4, 4}}},
                {{{{0, 4}, DType::f32, -4, 4}}},
                {{{{17}, DType::f16, -4, 4}}}},
};

}  // namespace tenon::ops
