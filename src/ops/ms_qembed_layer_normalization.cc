// com.microsoft QEmbedLayerNormalization: EmbedLayerNormalization whose tables, gamma and beta are quantised.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  if (u.node.inputs.size() < 18) return invalid_model("has ", u.node.inputs.size(), " inputs, 18 are needed");
  const std::string ids = input_of(u, 0), segment_ids = input_of(u, 1), mask = input_of(u, 7);
  const bool segments = !input_of(u, 4).empty();
  const std::string words = dequantize(u, 2, 8, 13), positions = dequantize(u, 3, 9, 14),
                    segment = segments ? dequantize(u, 4, 10, 15) : "";
  const std::string gamma = dequantize(u, 5, 11, 16), beta = dequantize(u, 6, 12, 17);
  u.node.op_type = "EmbedLayerNormalization";
  u.node.inputs = {ids, segment_ids, words, positions, segment, gamma, beta, mask};
  return {};
}

extern const Op op_ms_qembed_layer_normalization{
    .name = "QEmbedLayerNormalization",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
