// Equal: c = (a == b); NaN equals nothing, with numpy broadcasting.
#include "ops/common/old_broadcast.h"
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_equal{
    .name = "Equal",
    .version = 19,
    .compatible_from = 7,
    .older = {{6, upgrade_broadcast_6}},
    .inputs = {{"A", kNumeric | kBool}, {"B", kNumeric | kBool}},
    .outputs = {{"C"}},
    .scalar = [](const ScalarArgs& a) { return equal(a.x(0), a.x(1)); },
    .scalar_type = bool_type,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}}}},
                {{{{1, 7}, DType::i32, -3, 3}, {{4, 1}, DType::i32, -3, 3}}},
                {{{{0, 2}}, {{2}}}}},
};

}  // namespace tenon::ops
