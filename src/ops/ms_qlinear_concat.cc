// com.microsoft QLinearConcat: Concat of quantised tensors, each of its own scale, quantised anew. The inputs
// are the result's scale and zero point, then a tensor, its scale and its zero point for each part.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  if (u.node.inputs.size() < 5 || u.node.inputs.size() % 3 != 2)
    return invalid_model("has ", u.node.inputs.size(), " inputs; 2 and 3 for each part are needed");
  std::vector<std::string> parts;
  for (size_t i = 2; i < u.node.inputs.size(); i += 3) parts.push_back(dequantize(u, i, i + 1, i + 2));
  const std::string scale = input_of(u, 0), zero_point = input_of(u, 1), like = input_of(u, 2);
  u.node.domain = "";
  u.node.op_type = "Concat";
  u.node.inputs = std::move(parts);
  quantize_output(u, scale, zero_point, like);
  return {};
}

extern const Op op_ms_qlinear_concat{
    .name = "QLinearConcat",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
