// Tan: y = tan(x).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_tan{
    .name = "Tan",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::tan, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}, DType::f32, -1.25, 1.25}}},
                {{{{0, 4}, DType::f32, -1.25, 1.25}}},
                {{{{17}, DType::f16, -1.25, 1.25}}}},
};

}  // namespace tenon::ops
