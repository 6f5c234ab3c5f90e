// Add: y = a + b, with numpy broadcasting.
#include "ops/common/old_broadcast.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_add{
    .name = "Add",
    .version = 14,
    .compatible_from = 7,
    .older = {{6, upgrade_broadcast_6}},
    .inputs = {{"A", kNumeric}, {"B", kNumeric}},
    .scalar = [](const ScalarArgs& a) { return a.x(0) + a.x(1); },
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}}}}, {{{{1, 7}}, {{4, 1}}}}, {{{{3}, DType::u8, 0, 255}, {{3}, DType::u8, 0, 255}}}},
};

}  // namespace tenon::ops
