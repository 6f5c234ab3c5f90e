#include "ops/common/qlinear.h"

#include <numeric>

namespace tenon {

Status infer_rewritten(InferArgs& a) {
  return unsupported(a.op.name, " is what model files have; a graph has what import writes for it");
}
Status reference_rewritten(RefArgs& a) {
  return unsupported(a.op.name, " is what model files have; a graph has what import writes for it");
}

std::string input_of(const Upgrade& u, size_t index) {
  return index < u.node.inputs.size() ? u.node.inputs[index] : "";
}

std::string dequantize(Upgrade& u, size_t value, size_t scale, size_t zero_point, int64_t axis) {
  std::string y = u.fresh_name("float");
  u.before.push_back({"",
                      "DequantizeLinear",
                      u.node.name,
                      {input_of(u, value), input_of(u, scale), input_of(u, zero_point)},
                      {y},
                      {{"axis", axis}}});
  return y;
}

void quantize_output(Upgrade& u, const std::string& scale, const std::string& zero_point,
                     const std::string& like) {
  std::string zero = zero_point;
  const DType type = u.info(like).dtype;
  if (zero.empty() && type != DType::none) zero = u.constant(Tensor::scalar_int(0, type));
  std::string y = u.fresh_name("result");
  u.after.insert(u.after.begin(), {"", "QuantizeLinear", u.node.name, {y, scale, zero}, u.node.outputs, {}});
  u.node.outputs = {y};
}

Status rewrite_qlinear(Upgrade& u, const char* op_type, size_t operands) {
  if (u.node.inputs.size() <= 3 * operands)
    return invalid_model("has ", u.node.inputs.size(), " inputs, ", 3 * operands + 1, " are needed");
  std::vector<std::string> inputs;
  for (size_t i = 0; i < operands; ++i) inputs.push_back(dequantize(u, 3 * i, 3 * i + 1, 3 * i + 2));
  const std::string like = input_of(u, 0), scale = input_of(u, 3 * operands),
                    zero_point = input_of(u, 3 * operands + 1);
  const ValueInfo x = u.info(like);
  u.node.domain = "";
  u.node.op_type = op_type;
  u.node.inputs = std::move(inputs);
  TRY(rewrite_channels_last(u, x));
  quantize_output(u, scale, zero_point, like);
  return {};
}

Status rewrite_channels_last(Upgrade& u, const ValueInfo& x) {
  const bool last = u.node.attrs.i("channels_last") != 0;
  u.node.attrs.erase("channels_last");
  if (!last) return {};
  if (!x.ranked || x.shape.size() < 3)
    return unsupported("channels last in an input of unknown or too small rank");
  Ints to(x.shape.size()), back(x.shape.size());
  std::iota(to.begin() + 2, to.end(), 1);
  to[0] = 0, to[1] = int64_t(x.shape.size()) - 1;
  for (size_t d = 0; d < to.size(); ++d) back[size_t(to[d])] = int64_t(d);
  const std::string in = u.fresh_name("channels_first"), out = u.fresh_name("channels_first_result");
  u.before.push_back({"", "Transpose", u.node.name, {u.node.inputs[0]}, {in}, {{"perm", to}}});
  u.after.insert(u.after.begin(), {"", "Transpose", u.node.name, {out}, u.node.outputs, {{"perm", back}}});
  u.node.inputs[0] = in;
  u.node.outputs = {out};
  return {};
}

}  // namespace tenon
