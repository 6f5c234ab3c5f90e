// LpNormalization: y = x / (sum of |x|^p)^(1/p) along `axis`, p 1 or 2; zeros stay zeros.
#include <cmath>

#include "ops/common/norm.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t p = a.attrs.i("p");
  if (p != 1 && p != 2) return invalid_model("attribute 'p' is ", p, ", it must be 1 or 2");
  if (a.ranked(0)) TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (x.size() == 0) return {};
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank(), n = x.dim(axis);
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < x.rank(); ++d) inner *= x.dim(d);
  std::vector<double> values = x.to_doubles();  // [outer, n, inner]
  for (int64_t o = 0; o < x.size() / (n * inner); ++o)
    for (int64_t i = 0; i < inner; ++i) {
      double* line = values.data() + o * n * inner + i;
      double sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += a.attrs.i("p") == 1 ? std::abs(line[k * inner]) : line[k * inner] * line[k * inner];
      const double norm = a.attrs.i("p") == 1 ? sum : std::sqrt(sum);
      for (int64_t k = 0; k < n; ++k) line[k * inner] = norm == 0 ? 0 : line[k * inner] / norm;
    }
  store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  return {};
}

extern const Op op_lp_normalization{
    .name = "LpNormalization",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(-1)}, {"p", int64_t(2)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 65}}}}, {{{{4, 5}}}, {{"axis", int64_t(0)}, {"p", int64_t(1)}}}, {{{{0, 5}}}}},
};

}  // namespace tenon::ops
