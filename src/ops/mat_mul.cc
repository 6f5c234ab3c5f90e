// MatMul: y = a * b as numpy.matmul has it, over broadcast batches.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0) || !a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  a.set(0, a.dtype(0), TRY(matmul_shape(a.shape(0), a.shape(1))));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(0), &w = a.x(1);
  Tensor& y = a.y(0);
  if (is_float(y.dtype())) {
    auto out = batched_matmul(x.to_doubles(), x.shape(), w.to_doubles(), w.shape());
    store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  } else {
    auto out = batched_matmul(x.to_ints(), x.shape(), w.to_ints(), w.shape());
    store_ints(y.dtype(), y.data(), 0, y.size(), out.data());
  }
  return {};
}

extern const Op op_mat_mul{
    .name = "MatMul",
    .version = 13,
    .compatible_from = 1,
    .inputs = {{"A", kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}},
               {"B", kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}}},
    .attrs = {{"exact", int64_t(0)}},  // not ONNX's: lower_precision sets it where float32 factors must not be rounded to tf32
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, -1)); },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{3, 5}}, {{5, 7}}}},
                {{{{2, 1, 17, 33}}, {{3, 33, 19}}}},
                {{{{5}}, {{2, 5, 3}}}},
                {{{{4, 6}}, {{6}}}},
                {{{{3, 0}}, {{0, 4}}}},
                {{{{0, 3}}, {{3, 4}}}},
                {{{{2, 3}, DType::i32, -9, 9}, {{3, 2}, DType::i32, -9, 9}}}},
};

}  // namespace tenon::ops
