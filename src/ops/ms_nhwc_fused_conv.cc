// com.microsoft NhwcFusedConv: FusedConv of [N, spatial..., C]; weights stay [M, C / group, spatial...].
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  const ValueInfo x = u.info(input_of(u, 0));
  u.node.op_type = "FusedConv";
  u.node.attrs.set("channels_last", int64_t(1));
  TRY(rewrite_channels_last(u, x));
  if (input_of(u, 3).empty()) return {};
  const std::string z = u.fresh_name("channels_first_z");
  u.before.push_back({"",
                      "Transpose",
                      u.node.name,
                      {u.node.inputs[3]},
                      {z},
                      {{"perm", u.before.back().attrs.ints("perm")}}});
  u.node.inputs[3] = z;
  return {};
}

extern const Op op_ms_nhwc_fused_conv{
    .name = "NhwcFusedConv",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
