// Floor: y = the largest integer not above x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_floor{
    .name = "Floor",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::floor, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
