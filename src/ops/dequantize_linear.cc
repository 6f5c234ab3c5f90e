// DequantizeLinear: y = (x - x_zero_point) * x_scale, with one scale for the tensor, for each index of
// `axis`, or for each block of `block_size` along it.
#include "ops/common/quantize.h"

namespace tenon::ops {

static SampleInput ints(Shape shape, DType t) {
  return {std::move(shape), t, 0, 3};
}

extern const Op op_dequantize_linear{
    .name = "DequantizeLinear",
    .version = 28,
    .compatible_from = 10,
    .inputs = {{"x", kQuantized | DTypeSet{DType::i32}},
               {"x_scale", DTypeSet{DType::f32, DType::f16, DType::bf16, DType::f8e8m0}, 0},
               {"x_zero_point", kQuantized | DTypeSet{DType::i32}, 'T', Param::optional}},
    .outputs = {{"y"}},
    .attrs = {{"axis", int64_t(1)}, {"block_size", int64_t(0)}, {"output_dtype", int64_t(0)}},
    .infer = infer_dequantize_linear,
    .reference = reference_dequantize_linear,
    .fusion = Fusion::broadcast,
    .samples = {{{{{3, 7}, DType::i8, -128, 127}, {{}, DType::f32, 0.01, 0.02}, ints({}, DType::i8)}},
                {{{{2, 5, 3}, DType::u8, 0, 255}, {{5}, DType::f32, 0.01, 0.5}, ints({5}, DType::u8)},
                 {{"axis", int64_t(-2)}}},
                {{{{2, 6}, DType::i4, -8, 7}, {{2, 3}, DType::f32, 0.1, 0.5}}, {{"block_size", int64_t(2)}}},
                {{{{0, 4}, DType::i32, 0, 1}, {{}, DType::f32, 1, 1}}}},
};

}  // namespace tenon::ops
