// Neg: y = -x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_neg{
    .name = "Neg",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kFloats | kSigned}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::neg, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}, {{{{17}, DType::i32, -9, 9}}}},
};

}  // namespace tenon::ops
