// Sign: y = -1, 0 or 1 as x is negative, zero or positive; NaN stays NaN.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_sign{
    .name = "Sign",
    .version = 13,
    .compatible_from = 9,
    .inputs = {{"input", kNumeric}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::sign, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}, {{{{17}, DType::i32, -9, 9}}}},
};

}  // namespace tenon::ops
