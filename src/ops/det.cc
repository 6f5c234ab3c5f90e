// Det: determinants of the square matrices in the last two dimensions, by elimination with row exchanges.
#include <cmath>

#include "ops/common/matmul.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  SymShape shape = a.shape(0);
  if (shape.size() < 2) return invalid_model("Det needs rank 2 or more, the input has rank ", shape.size());
  TRY(unify_dims(shape[shape.size() - 2], shape.back(), "the side of the square"));
  shape.resize(shape.size() - 2);
  a.set(0, a.dtype(0), shape);
  return {};
}

static double determinant(double* m, int64_t n) {
  double det = 1;
  for (int64_t c = 0; c < n; ++c) {
    int64_t pivot = c;
    for (int64_t r = c + 1; r < n; ++r)
      if (std::abs(m[r * n + c]) > std::abs(m[pivot * n + c])) pivot = r;
    if (m[pivot * n + c] == 0) return 0;
    if (pivot != c) {
      for (int64_t k = 0; k < n; ++k) std::swap(m[pivot * n + k], m[c * n + k]);
      det = -det;
    }
    det *= m[c * n + c];
    for (int64_t r = c + 1; r < n; ++r) {
      const double factor = m[r * n + c] / m[c * n + c];
      for (int64_t k = c; k < n; ++k) m[r * n + k] -= factor * m[c * n + k];
    }
  }
  return det;
}

static Status reference(RefArgs& a) {
  std::vector<double> x = a.x(0).to_doubles();
  const int64_t n = a.x(0).shape().back();
  for (int64_t i = 0; i < a.y(0).size(); ++i) a.y(0).set(i, determinant(x.data() + i * n * n, n));
  return {};
}

extern const Op op_det{
    .name = "Det",
    .version = 22,
    .compatible_from = 11,
    .inputs = {{"X", kFloats}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 32},
    .samples = {{{{{3, 3}}}}, {{{{2, 5, 5}}}}, {{{{3, 0, 0}}}}, {{{{0, 2, 2}}}}},
};

}  // namespace tenon::ops
