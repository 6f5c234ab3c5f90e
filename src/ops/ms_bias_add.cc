// BiasAdd: y = x + bias + skip, the bias over the last dimension.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_ms_bias_add{
    .name = "BiasAdd",
    .domain = "com.microsoft",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}, {"bias", kFloats}, {"skip", kFloats}},
    .scalar = [](const ScalarArgs& a) { return a.x(0) + a.x(1) + a.x(2); },
    .infer = infer_like_first,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}}, {{2, 3, 5}}}}, {{{{0, 3, 4}}, {{4}}, {{0, 3, 4}}}}},
};

}  // namespace tenon::ops
