// Acosh: y = ln(x + sqrt(x^2 - 1)), x >= 1.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_acosh{
    .name = "Acosh",
    .version = 22,
    .compatible_from = 9,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::acosh, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}, DType::f32, 1, 8}}},
                {{{{0, 4}, DType::f32, 1, 8}}},
                {{{{17}, DType::f16, 1, 8}}}},
};

}  // namespace tenon::ops
