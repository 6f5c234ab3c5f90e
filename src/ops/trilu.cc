// Trilu: keeps the upper (or lower) triangle of each matrix, from its k-th diagonal on, and zeroes the rest.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.has_constant(1) && a.in[1].constant.size() != 1) return invalid_model("k is not a scalar");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.rank(0) < 2) return invalid_model("input has rank ", a.rank(0), ", it must hold matrices");
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const int64_t rows = x.dim(x.rank() - 2), columns = x.dim(x.rank() - 1);
  const int64_t k = a.has(1) ? std::max(-rows, std::min(columns, a.x(1).int_at(0))) : 0;
  const bool upper = a.attrs.i("upper") != 0;
  fill_zero(y);
  if (x.size() == 0) return {};
  for (int64_t row = 0; row < x.size() / columns; ++row) {
    // The k-th diagonal crosses this row at column `at`: the upper triangle starts there, the lower one ends
    // after it.
    const int64_t at = row % rows + k;
    const int64_t begin = upper ? std::max<int64_t>(0, at) : 0;
    const int64_t end = upper ? columns : std::min(columns, at + 1);
    if (begin < end)
      copy_elements(x.dtype(), y.data(), row * columns + begin, x.data(), row * columns + begin, end - begin);
  }
  return {};
}

extern const Op op_trilu{
    .name = "Trilu",
    .version = 14,
    .compatible_from = 14,
    .inputs = {{"input", kAny}, {"k", DType::i64, 0, Param::optional}},
    .outputs = {{"output"}},
    .attrs = {{"upper", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{4, 5}}}},
                {{{{2, 3, 3}}, {{}, DType::i64, 0, 0, {-1}}}, {{"upper", int64_t(0)}}},
                {{{{0, 5}}, {{}, DType::i64, 0, 0, {6}}}}},
};

}  // namespace tenon::ops
