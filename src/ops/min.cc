// Min: y = the smallest of the inputs, NaN if any is NaN, element by element, with numpy broadcasting.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_min{
    .name = "Min",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"data_0", kNumeric, 'T', Param::variadic}},
    .outputs = {{"min"}},
    .scalar =
        [](const ScalarArgs& a) {
          S y = a.x(0);
          for (size_t i = 1; i < a.size(); ++i) y = min(y, a.x(i));
          return y;
        },
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}}, {{3, 1}}}}, {{{{4}}}}, {{{{0, 2}}, {{2}}}}},
};

}  // namespace tenon::ops
