// RMSNormalization: y = x / sqrt(mean(x^2) + epsilon) * scale, the mean taken over all dimensions from `axis` on.
#include <cmath>

#include "ops/common/norm.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(1)), Status();
  TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  TRY(check_broadcasts_to_input(a, 1));
  a.set(0, a.dtype(1), a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  int64_t rows = 1;
  for (int64_t d = 0; d < axis; ++d) rows *= x.dim(d);
  const int64_t n = rows ? x.size() / rows : 0;
  if (n == 0) return {};
  std::vector<double> values = x.to_doubles();
  for (int64_t r = 0; r < rows; ++r) {
    double* row = values.data() + r * n;
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += row[i] * row[i];
    const double factor = 1 / std::sqrt(squares / double(n) + double(a.attrs.f("epsilon")));
    for (int64_t i = 0; i < n; ++i) row[i] *= factor;
  }
  store_scaled(a.y(0), values, a.x(1), Tensor());
  return {};
}

extern const Op op_rms_normalization{
    .name = "RMSNormalization",
    .version = 23,
    .compatible_from = 23,
    .inputs = {{"X", kFloats}, {"scale", kFloats, 'V'}},
    .outputs = {{"Y", kFloats, 'V'}},
    .attrs = {{"axis", int64_t(-1)}, {"epsilon", 1e-5f}, {"stash_type", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 65}}, {{65}}}}, {{{{2, 5, 7}}, {{5, 7}}}, {{"axis", int64_t(1)}}}, {{{{0, 8}}, {{8}}}}},
};

}  // namespace tenon::ops
