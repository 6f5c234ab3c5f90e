// Gelu: y = x/2 * (1 + erf(x / sqrt(2))).
#include "ops/common/gelu.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_ms_gelu{
    .name = "Gelu",
    .domain = "com.microsoft",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return gelu(a.x(0)); },
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
