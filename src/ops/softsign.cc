// Softsign: y = x / (1 + |x|).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_softsign{
    .name = "Softsign",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return a.x(0) / (1 + unary(Prim::abs, a.x(0))); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
