// BitwiseAnd: c = a and b, bit by bit, with numpy broadcasting.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_bitwise_and{
    .name = "BitwiseAnd",
    .version = 18,
    .compatible_from = 18,
    .inputs = {{"A", kInts}, {"B", kInts}},
    .outputs = {{"C"}},
    .scalar = [](const ScalarArgs& a) { return binary(Prim::bit_and, a.x(0), a.x(1)); },
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}, DType::i32, -99, 99}, {{5}, DType::i32, -99, 99}}},
                {{{{1, 7}, DType::u8, 0, 255}, {{4, 1}, DType::u8, 0, 255}}},
                {{{{0, 2}, DType::i64, -9, 9}, {{2}, DType::i64, -9, 9}}}},
};

}  // namespace tenon::ops
