// Sqrt: y = square root of x; NaN below zero.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_sqrt{
    .name = "Sqrt",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::sqrt, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}, DType::f32, 0, 10}}},
                {{{{0, 4}, DType::f32, 0, 10}}},
                {{{{17}, DType::f16, 0, 10}}}},
};

}  // namespace tenon::ops
