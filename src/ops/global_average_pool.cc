// GlobalAveragePool: the mean of each channel's plane.
#include "ops/common/pool.h"

namespace tenon::ops {

extern const Op op_global_average_pool{
    .name = "GlobalAveragePool",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .infer = infer_global_pool,
    .reference =
        [](RefArgs& a) {
          return reference_global_pool(a, [](const Attrs&, const double* x, int64_t n) {
            double sum = 0;
            for (int64_t i = 0; i < n; ++i) sum += x[i];
            return sum / double(n);
          });
        },
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 7, 5}}}}, {{{{1, 4, 9}}}}, {{{{0, 3, 4, 4}}}}},
};

}  // namespace tenon::ops
