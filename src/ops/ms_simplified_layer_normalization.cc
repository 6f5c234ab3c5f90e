// SimplifiedLayerNormalization (com.microsoft): y = x / sqrt(mean(x^2) + epsilon) * scale, the mean from
// `axis` on.
#include "ops/common/skip_norm.h"

namespace tenon::ops {

extern const Op op_ms_simplified_layer_normalization{
    .name = "SimplifiedLayerNormalization",
    .domain = "com.microsoft",
    .inputs = {{"X", kFloats, 'T'}, {"scale", kFloats, 'V'}},
    .outputs = {{"Y", kFloats, 'V'}, {"inv_std_var", DType::f32, 0, Param::optional}},
    .attrs = {{"axis", int64_t(-1)}, {"epsilon", 1e-5f}, {"stash_type", int64_t(1)}},
    .infer = infer_simplified_norm,
    .reference = reference_simplified_norm,
    .fusion = Fusion::reduction,
    .tolerance = {64, 4},
    .samples = {{{{{2, 3, 8}}, {{8}}}, {}, 2}, {{{{0, 5}}, {{5}}}}},
};

}  // namespace tenon::ops
