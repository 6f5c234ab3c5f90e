// Reciprocal: y = 1 / x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_reciprocal{
    .name = "Reciprocal",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .scalar = [](const ScalarArgs& a) { return 1 / a.x(0); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}, DType::f32, 0.25, 4}}},
                {{{{0, 4}, DType::f32, 0.25, 4}}},
                {{{{17}, DType::f16, 0.25, 4}}}},
};

}  // namespace tenon::ops
