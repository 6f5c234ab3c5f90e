// Abs: y = |x|.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_abs{
    .name = "Abs",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kNumeric}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::abs, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}},
                {{{{0, 4}}}},
                {{{{17}, DType::f16}}},
                {{{{17}, DType::i32, -9, 9}}},
                {{{{5}, DType::u8, 0, 255}}}},
};

}  // namespace tenon::ops
