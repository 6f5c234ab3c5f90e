// LayerNormalization: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, the moments taken over all dimensions
// from `axis` on.
#include <cmath>

#include "ops/common/norm.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t stash = a.attrs.i("stash_type");
  if (stash != int64_t(DType::f32) && stash != int64_t(DType::bf16) && stash != int64_t(DType::f16) &&
      stash != int64_t(DType::f64))
    return invalid_model("attribute 'stash_type' cannot be ", stash);
  const DType moment_type = DType(stash);
  if (!a.ranked(0)) {
    a.set_unranked(0, a.dtype(0));
    a.set_unranked(1, moment_type);
    a.set_unranked(2, moment_type);
    return {};
  }
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  TRY(check_broadcasts_to_input(a, 1));
  TRY(check_broadcasts_to_input(a, 2));
  SymShape reduced = a.shape(0);
  for (size_t d = size_t(axis); d < reduced.size(); ++d) reduced[d] = Dim(1);
  a.set(0, a.dtype(0), a.shape(0));
  a.set(1, moment_type, reduced);
  a.set(2, moment_type, reduced);
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  int64_t rows = 1;
  for (int64_t d = 0; d < axis; ++d) rows *= x.dim(d);
  const int64_t n = rows ? x.size() / rows : 0;
  if (x.size() == 0 && a.out.size() == 1) return {};
  const double epsilon = a.attrs.f("epsilon");
  std::vector<double> values = x.to_doubles();
  for (int64_t r = 0; r < rows; ++r) {
    double* row = values.data() + r * n;
    const Moments m = moments(row, n);
    const double factor = 1 / std::sqrt(m.variance + epsilon);
    for (int64_t i = 0; i < n; ++i) row[i] = (row[i] - m.mean) * factor;
    if (a.wants(1)) a.y(1).set(r, m.mean);
    if (a.wants(2)) a.y(2).set(r, factor);
  }
  store_scaled(a.y(0), values, a.x(1), a.has(2) ? a.x(2) : Tensor());
  return {};
}

extern const Op op_layer_normalization{
    .name = "LayerNormalization",
    .version = 17,
    .compatible_from = 17,
    .inputs = {{"X", kFloats}, {"Scale", kFloats}, {"B", kFloats, 'T', Param::optional}},
    .outputs = {{"Y"}, {"Mean", kFloats, 'U', Param::optional}, {"InvStdDev", kFloats, 'U', Param::optional}},
    .attrs = {{"axis", int64_t(-1)}, {"epsilon", 1e-5f}, {"stash_type", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 65}}, {{65}}, {{65}}}},
                {{{{2, 5, 7}}, {{5, 7}}}, {{"axis", int64_t(1)}}, 3},
                {{{{0, 8}}, {{8}}}}},
};

}  // namespace tenon::ops
