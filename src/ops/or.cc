// Or: c = a or b of booleans, with numpy broadcasting.
#include "ops/common/old_broadcast.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_or{
    .name = "Or",
    .version = 7,
    .compatible_from = 7,
    .older = {{6, upgrade_broadcast_6}},
    .inputs = {{"A", kBool}, {"B", kBool}},
    .outputs = {{"C"}},
    .scalar = [](const ScalarArgs& a) { return binary(Prim::logical_or, a.x(0), a.x(1)); },
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}, DType::boolean, 0, 1}, {{5}, DType::boolean, 0, 1}}},
                {{{{1, 7}, DType::boolean, 0, 1}, {{4, 1}, DType::boolean, 0, 1}}},
                {{{{0, 2}, DType::boolean, 0, 1}, {{2}, DType::boolean, 0, 1}}}},
};

}  // namespace tenon::ops
