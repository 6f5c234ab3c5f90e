// com.microsoft QLinearGlobalAveragePool: GlobalAveragePool of quantised numbers, quantised.
#include "ops/common/qlinear.h"

namespace tenon::ops {

extern const Op op_ms_qlinear_global_average_pool{
    .name = "QLinearGlobalAveragePool",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, [](Upgrade& u) { return rewrite_qlinear(u, "GlobalAveragePool", 1); }}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
