// IsNaN: y = whether x is not a number.
#include <cmath>

#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_is_nan{
    .name = "IsNaN",
    .version = 20,
    .compatible_from = 9,
    .inputs = {{"X", kFloats | kFloat8s}},
    .scalar = [](const ScalarArgs& a) { return predicate(Prim::is_nan, a.x(0)); },
    .scalar_type = bool_type,
    .fusion = Fusion::elementwise,
    .samples = {{{{{4}, DType::f32, 0, 0, {1, NAN, -0.0, INFINITY}}}}, {{{{0, 3}}}}},
};

}  // namespace tenon::ops
