// BitwiseNot: y = x with every bit flipped.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_bitwise_not{
    .name = "BitwiseNot",
    .version = 18,
    .compatible_from = 18,
    .inputs = {{"X", kInts}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::bit_not, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3}, DType::i32, -99, 99}}},
                {{{{0}, DType::u8, 0, 255}}},
                {{{{7}, DType::u8, 0, 255}}}},
};

}  // namespace tenon::ops
