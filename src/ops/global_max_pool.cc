// GlobalMaxPool: the largest element of each channel's plane.
#include <cmath>

#include "ops/common/pool.h"

namespace tenon::ops {

extern const Op op_global_max_pool{
    .name = "GlobalMaxPool",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .infer = infer_global_pool,
    .reference =
        [](RefArgs& a) {
          return reference_global_pool(a, [](const Attrs&, const double* x, int64_t n) {
            double best = -HUGE_VAL;
            for (int64_t i = 0; i < n; ++i) best = x[i] > best || std::isnan(x[i]) ? x[i] : best;
            return best;
          });
        },
    .fusion = Fusion::reduction,
    .samples = {{{{{2, 3, 7, 5}}}}, {{{{1, 4, 9}}}}, {{{{0, 3, 4, 4}}}}},
};

}  // namespace tenon::ops
