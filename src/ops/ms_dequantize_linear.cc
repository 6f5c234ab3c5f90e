// com.microsoft DequantizeLinear: y = (x - x_zero_point) * x_scale, as models carried it before ONNX's own
// had 16 and 4-bit types.
#include "ops/common/quantize.h"

namespace tenon::ops {

extern const Op op_ms_dequantize_linear{
    .name = "DequantizeLinear",
    .domain = "com.microsoft",
    .inputs = {{"x", kQuantized | DTypeSet{DType::i32}},
               {"x_scale", DTypeSet{DType::f32, DType::f16}, 0},
               {"x_zero_point", kQuantized | DTypeSet{DType::i32}, 'T', Param::optional}},
    .outputs = {{"y"}},
    .attrs = {{"axis", int64_t(1)}, {"block_size", int64_t(0)}},
    .infer = infer_dequantize_linear,
    .reference = reference_dequantize_linear,
    .fusion = Fusion::broadcast,
    .samples = {{{{{3, 7}, DType::u16, 0, 65535}, {{}, DType::f32, 0.01, 0.02}, {{}, DType::u16, 0, 3}}}},
};

}  // namespace tenon::ops
