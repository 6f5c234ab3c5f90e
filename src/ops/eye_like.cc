// EyeLike: a matrix of the input's shape with ones on the k-th diagonal and zeros elsewhere.
#include "ops/common/dtype_attr.h"
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const DType type = TRY(dtype_attr(a.attrs, "dtype", a.dtype(0), kNumeric | kBool));
  if (!a.ranked(0)) return a.set_fresh(0, type, 2, "eye"), Status();
  if (a.rank(0) != 2) return invalid_model("input has rank ", a.rank(0), ", it must be a matrix");
  a.set(0, type, a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const int64_t rows = y.dim(0), columns = y.dim(1), k = a.attrs.i("k");
  fill_zero(y);
  if (y.size() == 0) return {};
  if (k <= -rows || k >= columns) return {};
  for (int64_t r = 0; r < rows; ++r)
    if (r + k >= 0 && r + k < columns) y.set(r * columns + r + k, 1);
  return {};
}

extern const Op op_eye_like{
    .name = "EyeLike",
    .version = 22,
    .compatible_from = 9,
    .inputs = {{"input", kNumeric | kBool}},
    .outputs = {{"output", kNumeric | kBool, 0}},
    .attrs = {optional_attr("dtype", AttrKind::i), {"k", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{3, 5}}}, {{"k", int64_t(1)}}},
                {{{{4, 2}}}, {{"dtype", int64_t(DType::i32)}}},
                {{{{0, 3}}}}},
};

}  // namespace tenon::ops
