// MatMulInteger: y = (a - a_zero_point) * (b - b_zero_point) in 32-bit integers.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  TRY(check_matrix_param(a, 0, 2, true));
  TRY(check_matrix_param(a, 1, 3, false));
  if (!a.ranked(0) || !a.ranked(1)) return a.set_unranked(0, DType::i32), Status();
  a.set(0, DType::i32, TRY(matmul_shape(a.shape(0), a.shape(1))));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor none;
  auto left = TRY(centered_ints(a.x(0), a.has(2) ? a.x(2) : none, true));
  auto right = TRY(centered_ints(a.x(1), a.has(3) ? a.x(3) : none, false));
  auto out = batched_matmul(left, a.x(0).shape(), right, a.x(1).shape());
  store_ints(DType::i32, a.y(0).data(), 0, a.y(0).size(), out.data());
  return {};
}

static constexpr DTypeSet kBytes{DType::i8, DType::u8};

extern const Op op_mat_mul_integer{
    .name = "MatMulInteger",
    .version = 10,
    .compatible_from = 10,
    .inputs = {{"A", kBytes, 'A'},
               {"B", kBytes, 'B'},
               {"a_zero_point", kBytes, 'A', Param::optional},
               {"b_zero_point", kBytes, 'B', Param::optional}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, -1)); },
    .fusion = Fusion::out_elementwise_fusable,
    .samples = {{{{{4, 9}, DType::u8, 0, 255}, {{9, 3}, DType::i8, -128, 127}, {{}, DType::u8, 128, 128}}},
                {{{{2, 3, 5}, DType::u8, 0, 255}, {{5, 2}, DType::u8, 0, 255}}},
                {{{{4, 9}, DType::i8, -128, 127},
                  {{9, 3}, DType::i8, -128, 127},
                  {.absent = true},
                  {{3}, DType::i8, -4, 4}}},
                {{{{0, 4}, DType::u8, 0, 255}, {{4, 3}, DType::u8, 0, 255}}}},
};

}  // namespace tenon::ops
