// HardSigmoid: y = max(0, min(1, alpha * x + beta)).
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_hard_sigmoid{
    .name = "HardSigmoid",
    .version = 22,
    .compatible_from = 6,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 0.2f}, {"beta", 0.5f}},
    .scalar =
        [](const ScalarArgs& a) { return max(min(a.attrs.f("alpha") * a.x(0) + a.attrs.f("beta"), 1), 0); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}}, {{{{0, 4}}}}, {{{{17}, DType::f16}}}},
};

}  // namespace tenon::ops
