// IsInf: y = whether x is infinite; `detect_positive` and `detect_negative` choose which of the two count.
#include <cmath>

#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_is_inf{
    .name = "IsInf",
    .version = 20,
    .compatible_from = 10,
    .inputs = {{"X", kFloats | kFloat8s}},
    .attrs = {{"detect_negative", int64_t(1)}, {"detect_positive", int64_t(1)}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          S negative = x < 0, infinite = predicate(Prim::is_inf, x);
          if (!a.attrs.i("detect_negative"))
            infinite = binary(Prim::logical_and, infinite, unary(Prim::logical_not, negative));
          if (!a.attrs.i("detect_positive")) infinite = binary(Prim::logical_and, infinite, negative);
          return infinite;
        },
    .scalar_type = bool_type,
    .fusion = Fusion::elementwise,
    .samples = {{{{{4}, DType::f32, 0, 0, {1, NAN, -INFINITY, INFINITY}}}},
                {{{{4}, DType::f32, 0, 0, {1, NAN, -INFINITY, INFINITY}}}, {{"detect_negative", int64_t(0)}}},
                {{{{0, 3}}}}},
};

}  // namespace tenon::ops
