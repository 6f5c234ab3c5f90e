// Mean: y = the mean of the inputs, element by element, with numpy broadcasting.
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_mean{
    .name = "Mean",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"data_0", kFloats, 'T', Param::variadic}},
    .outputs = {{"mean"}},
    .scalar =
        [](const ScalarArgs& a) {
          S y = a.x(0);
          for (size_t i = 1; i < a.size(); ++i) y = y + a.x(i);
          return y / double(a.size());
        },
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{5}}, {{3, 1}}}}, {{{{4}}}}, {{{{0, 2}}, {{2}}}}},
};

}  // namespace tenon::ops
