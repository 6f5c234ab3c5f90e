// com.microsoft QLinearReduceMean: ReduceMean of quantised numbers, quantised.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  TRY(rewrite_qlinear(u, "ReduceMean", 1));
  u.ints_to_input("axes", 1);
  return {};
}

extern const Op op_ms_qlinear_reduce_mean{
    .name = "QLinearReduceMean",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
