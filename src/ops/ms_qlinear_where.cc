// com.microsoft QLinearWhere: Where of quantised tensors, quantised anew.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  if (u.node.inputs.size() < 8) return invalid_model("has ", u.node.inputs.size(), " inputs, 9 are needed");
  const std::string condition = input_of(u, 0), like = input_of(u, 1), scale = input_of(u, 7),
                    zero_point = input_of(u, 8);
  const std::string x = dequantize(u, 1, 2, 3), y = dequantize(u, 4, 5, 6);
  u.node.domain = "";
  u.node.op_type = "Where";
  u.node.inputs = {condition, x, y};
  quantize_output(u, scale, zero_point, like);
  return {};
}

extern const Op op_ms_qlinear_where{
    .name = "QLinearWhere",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
