// com.microsoft QGemm: alpha * A' * B' + C of quantised A and B, scales of B may be one for each row of the
// product's columns; C is in units of alpha * a_scale * b_scale. The result is quantised where it has a
// scale, else float.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  if (u.node.inputs.size() < 6) return invalid_model("has ", u.node.inputs.size(), " inputs, 6 are needed");
  const std::string like = input_of(u, 0), c = input_of(u, 6), y_scale = input_of(u, 7),
                    y_zero = input_of(u, 8);
  const std::string a_scale = input_of(u, 1), b_scale = input_of(u, 4);
  const std::string a = dequantize(u, 0, 1, 2), b = dequantize(u, 3, 4, 5, u.node.attrs.i("transB") ? 0 : 1);
  std::vector<std::string> inputs{a, b};
  if (!c.empty()) {
    const std::string units = u.fresh_name("units"), real = u.fresh_name("c"), product = u.fresh_name("bias");
    u.before.push_back({"", "Mul", u.node.name, {a_scale, b_scale}, {units}, {}});
    u.before.push_back({"", "Cast", u.node.name, {c}, {real}, {{"to", int64_t(DType::f32)}}});
    u.before.push_back({"", "Mul", u.node.name, {real, units}, {product}, {}});
    inputs.push_back(product);
    u.node.attrs.set("beta", u.node.attrs.f("alpha", 1));
  }
  u.node.domain = "";
  u.node.op_type = "Gemm";
  u.node.inputs = std::move(inputs);
  if (!y_scale.empty()) quantize_output(u, y_scale, y_zero, like);
  return {};
}

extern const Op op_ms_qgemm{
    .name = "QGemm",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
