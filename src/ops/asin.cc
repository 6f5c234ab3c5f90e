// Asin: y = arcsine of x, x in [-1, 1].
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_asin{
    .name = "Asin",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::asin, a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}, DType::f32, -1, 1}}},
                {{{{0, 4}, DType::f32, -1, 1}}},
                {{{{17}, DType::f16, -1, 1}}}},
};

}  // namespace tenon::ops
