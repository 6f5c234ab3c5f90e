// com.microsoft QLinearConv: ONNX's, and of [N, spatial..., C] where channels_last is 1.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  u.node.domain = "";
  return rewrite_channels_last(u, u.info(input_of(u, 0)));
}

extern const Op op_ms_qlinear_conv{
    .name = "QLinearConv",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
