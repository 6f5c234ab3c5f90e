// BiasGelu: c = gelu(a + b), the exact form.
#include "ops/common/gelu.h"
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_ms_bias_gelu{
    .name = "BiasGelu",
    .domain = "com.microsoft",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"A", kFloats}, {"B", kFloats}},
    .outputs = {{"C"}},
    .scalar = [](const ScalarArgs& a) { return gelu(a.x(0) + a.x(1)); },
    .infer = infer_like_first,
    .fusion = Fusion::broadcast,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}, {{5}}}}, {{{{0, 4}}, {{4}}}}},
};

}  // namespace tenon::ops
