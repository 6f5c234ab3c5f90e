// com.microsoft QAttention: com.microsoft's Attention with quantised input and weights; scales of the weights
// may be one for each column.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  if (u.node.inputs.size() < 5) return invalid_model("has ", u.node.inputs.size(), " inputs, 5 are needed");
  const std::string bias = input_of(u, 2), mask = input_of(u, 5), past = input_of(u, 8);
  const std::string x = dequantize(u, 0, 3, 6), weights = dequantize(u, 1, 4, 7);
  u.node.op_type = "Attention";
  u.node.inputs = {x, weights, bias, mask, past};
  return {};
}

extern const Op op_ms_qattention{
    .name = "QAttention",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
