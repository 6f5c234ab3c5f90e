// com.microsoft QLinearAveragePool: AveragePool of quantised numbers, quantised.
#include "ops/common/qlinear.h"

namespace tenon::ops {

extern const Op op_ms_qlinear_average_pool{
    .name = "QLinearAveragePool",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, [](Upgrade& u) { return rewrite_qlinear(u, "AveragePool", 1); }}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
