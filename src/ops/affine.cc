// Affine: y = alpha * x + beta. Experimental, removed from the standard in opset 10; old exporters use it.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_affine{
    .name = "Affine",
    .removed_in = 10,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1.0f}, {"beta", 0.0f}},
    .scalar = [](const ScalarArgs& a) { return a.x(0) * double(a.attrs.f("alpha")) + double(a.attrs.f("beta")); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3}}}, {{"alpha", 0.5f}, {"beta", -1.0f}}}, {{{{0}}}}},
};

}  // namespace tenon::ops
