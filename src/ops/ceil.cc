// Ceil: y = the smallest integer not below x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_ceil{
    .name = "Ceil",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::ceil, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
