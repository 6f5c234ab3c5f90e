// com.microsoft QLinearSigmoid: Sigmoid of quantised numbers, quantised.
#include "ops/common/qlinear.h"

namespace tenon::ops {

extern const Op op_ms_qlinear_sigmoid{
    .name = "QLinearSigmoid",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, [](Upgrade& u) { return rewrite_qlinear(u, "Sigmoid", 1); }}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
