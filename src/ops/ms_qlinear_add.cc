// com.microsoft QLinearAdd: the sum of quantised numbers, quantised.
#include "ops/common/qlinear.h"

namespace tenon::ops {

extern const Op op_ms_qlinear_add{
    .name = "QLinearAdd",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, [](Upgrade& u) { return rewrite_qlinear(u, "Add", 2); }}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
