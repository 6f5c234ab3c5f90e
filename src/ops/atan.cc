// Atan: y = arctangent of x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_atan{
    .name = "Atan",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::atan, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
