// Scatter: the name of ScatterElements before opset 11.
#include "ops/common/scatter.h"

namespace tenon::ops {

static Status upgrade_scatter_9(Upgrade& u) {
  u.node.op_type = "ScatterElements";
  return {};
}

extern const Op op_scatter{
    .name = "Scatter",
    .version = 11,
    .compatible_from = 11,
    .removed_in = 11,
    .older = {{1, upgrade_scatter_9}},
    .inputs = {{"data", kAny}, {"indices", kIndex, 0}, {"updates", kAny}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(0)}},
    .infer = infer_scatter_elements,
    .reference = reference_scatter_elements,
    .samples = {{{{{3, 3}}, {{2, 3}, DType::i64, 0, 0, {1, 0, 2, 0, 2, 1}}, {{2, 3}}}}},
};

}  // namespace tenon::ops
