// QuantizeLinear: y = saturate(round(x / y_scale) + y_zero_point), with one scale for the tensor, for each
// index of `axis`, or for each block of `block_size` along it.
#include "ops/common/quantize.h"

namespace tenon::ops {

static SampleInput zero(Shape shape, DType t) {
  return {std::move(shape), t, 0, 3};
}

extern const Op op_quantize_linear{
    .name = "QuantizeLinear",
    .version = 28,
    .compatible_from = 10,
    .inputs = {{"x", DTypeSet{DType::f32, DType::f16, DType::bf16, DType::i32}, 0},
               {"y_scale", DTypeSet{DType::f32, DType::f16, DType::bf16, DType::i32, DType::f8e8m0}, 0},
               {"y_zero_point", kQuantized, 0, Param::optional}},
    .outputs = {{"y"}},
    .attrs = {{"axis", int64_t(1)},
              {"saturate", int64_t(1)},
              {"block_size", int64_t(0)},
              {"output_dtype", int64_t(0)},
              {"precision", int64_t(0)}},
    .infer = infer_quantize_linear,
    .reference = reference_quantize_linear,
    .fusion = Fusion::broadcast,
    .samples = {{{{{3, 7}}, {{}, DType::f32, 0.01, 0.02}, zero({}, DType::i8)}},
                {{{{2, 5, 3}}, {{5}, DType::f32, 0.01, 0.5}, zero({5}, DType::u8)}, {{"axis", int64_t(-2)}}},
                {{{{2, 6}}, {{2, 3}, DType::f32, 0.1, 0.5}, zero({2, 3}, DType::i4)},
                 {{"block_size", int64_t(2)}}},
                {{{{0, 4}}, {{}, DType::f32, 1, 1}}}},
};

}  // namespace tenon::ops
