// Relu: y = max(x, 0).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_relu{
    .name = "Relu",
    .version = 14,
    .compatible_from = 6,
    .inputs = {{"X", kFloats | kSigned}},
    .scalar = [](const ScalarArgs& a) { return max(a.x(0), 0); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::i32, -9, 9}}}},
};

}  // namespace tenon::ops
