// com.microsoft QuantizeLinear: y = saturate(round(x / y_scale) + y_zero_point), as models carried it before
// ONNX's own had 16 and 4-bit types.
#include "ops/common/quantize.h"

namespace tenon::ops {

extern const Op op_ms_quantize_linear{
    .name = "QuantizeLinear",
    .domain = "com.microsoft",
    .inputs = {{"x", DTypeSet{DType::f32, DType::f16}, 0},
               {"y_scale", DTypeSet{DType::f32, DType::f16}, 0},
               {"y_zero_point", kQuantized, 0, Param::optional}},
    .outputs = {{"y"}},
    .attrs = {{"axis", int64_t(1)}, {"block_size", int64_t(0)}},
    .infer = infer_quantize_linear,
    .reference = reference_quantize_linear,
    .fusion = Fusion::broadcast,
    .samples = {{{{{3, 7}}, {{}, DType::f32, 0.01, 0.02}, {{}, DType::i8, 0, 3}}}},
};

}  // namespace tenon::ops
