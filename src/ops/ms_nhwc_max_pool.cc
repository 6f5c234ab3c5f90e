// com.microsoft NhwcMaxPool: MaxPool of [N, spatial..., C].
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  u.node.domain = "";
  u.node.op_type = "MaxPool";
  u.node.attrs.set("channels_last", int64_t(1));
  return rewrite_channels_last(u, u.info(input_of(u, 0)));
}

extern const Op op_ms_nhwc_max_pool{
    .name = "NhwcMaxPool",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
