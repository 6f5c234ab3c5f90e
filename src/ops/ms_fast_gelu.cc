// FastGelu: y = gelu(x + bias), approximated by tanh; the bias may be absent.
#include "ops/common/gelu.h"
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_ms_fast_gelu{
    .name = "FastGelu",
    .domain = "com.microsoft",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}, {"bias", kFloats, 'T', Param::optional}},
    .scalar = [](const ScalarArgs& a) { return gelu_tanh(a.has(1) ? a.x(0) + a.x(1) : a.x(0)); },
    .infer = infer_like_first,
    .fusion = Fusion::broadcast,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}, {{5}}}}, {{{{2, 7}}}}, {{{{0, 4}}, {{4}}}}},
};

}  // namespace tenon::ops
