// SkipSimplifiedLayerNormalization (com.microsoft): RMS normalisation of input + skip + bias over the last
// dimension.
#include "ops/common/skip_norm.h"

namespace tenon::ops {

extern const Op op_ms_skip_simplified_layer_normalization{
    .name = "SkipSimplifiedLayerNormalization",
    .domain = "com.microsoft",
    .inputs = {{"input", kFloats},
               {"skip", kFloats},
               {"gamma", kFloats},
               {"bias", kFloats, 'T', Param::optional}},
    .outputs = {{"output"},
                {"mean", DType::f32, 0, Param::optional},
                {"inv_std_var", DType::f32, 0, Param::optional},
                {"input_skip_bias_sum", kFloats, 'T', Param::optional}},
    .attrs = {{"epsilon", 1e-12f}},
    .infer = [](InferArgs& a) { return infer_skip_norm(a, true); },
    .reference = [](RefArgs& a) { return reference_skip_norm(a, true); },
    .fusion = Fusion::reduction,
    .tolerance = {64, 4},
    .samples = {{{{{2, 3, 8}}, {{2, 3, 8}}, {{8}}, {{8}}}, {}, 4}, {{{{0, 5}}, {{0, 5}}, {{5}}}}},
};

}  // namespace tenon::ops
