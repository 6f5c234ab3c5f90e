// Div: c = a / b, with numpy broadcasting; integers truncate toward zero, and dividing one by zero gives 0.
#include "ops/common/old_broadcast.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_div{
    .name = "Div",
    .version = 14,
    .compatible_from = 7,
    .older = {{6, upgrade_broadcast_6}},
    .inputs = {{"A", kNumeric}, {"B", kNumeric}},
    .outputs = {{"C"}},
    .scalar = [](const ScalarArgs& a) { return a.x(0) / a.x(1); },
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}, DType::f32, 0.5, 2}}},
                {{{{1, 7}, DType::i32, -99, 99}, {{4, 1}, DType::i32, 1, 9}}},
                {{{{3}, DType::u8, 0, 255}, {{3}, DType::u8, 1, 9}}},
                {{{{0, 2}}, {{2}, DType::f32, 1, 2}}}},
};

}  // namespace tenon::ops
