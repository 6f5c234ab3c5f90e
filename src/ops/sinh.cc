// Sinh: y = (e^x - e^-x) / 2.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_sinh{
    .name = "Sinh",
    .version = 22,
    .compatible_from = 9,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::sinh, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
