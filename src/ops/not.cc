// Not: y = not x.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_not{
    .name = "Not",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"X", kBool}},
    .scalar = [](const ScalarArgs& a) { return unary(Prim::logical_not, a.x(0)); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3}, DType::boolean, 0, 1}}}, {{{{0}, DType::boolean, 0, 1}}}},
};

}  // namespace tenon::ops
