// Round: y = the nearest integer, halves to the even one.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_round{
    .name = "Round",
    .version = 22,
    .compatible_from = 11,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::round, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}},
                {{{{0, 4}}}},
                {{{{17}, DType::f16}}},
                {{{{6}, DType::f32, 0, 0, {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}}}}},
};

}  // namespace tenon::ops
