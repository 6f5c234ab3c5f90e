// Log: y = natural logarithm of x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_log{
    .name = "Log",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::log, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}, DType::f32, 0.1, 10}}},
                {{{{0, 4}, DType::f32, 0.1, 10}}},
                {{{{17}, DType::f16, 0.1, 10}}}},
};

}  // namespace tenon::ops
