// LessOrEqual: c = (a <= b), with numpy broadcasting.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_less_or_equal{
    .name = "LessOrEqual",
    .version = 16,
    .compatible_from = 12,
    .inputs = {{"A", kNumeric}, {"B", kNumeric}},
    .outputs = {{"C"}},
    .scalar = [](const ScalarArgs& a) { return a.x(0) <= a.x(1); },
    .scalar_type = bool_type,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}}}},
                {{{{1, 7}, DType::i32, -3, 3}, {{4, 1}, DType::i32, -3, 3}}},
                {{{{0, 2}}, {{2}}}}},
};

}  // namespace tenon::ops
