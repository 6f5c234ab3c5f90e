// MeanVarianceNormalization: y = (x - mean) / (sqrt(variance) + 1e-9), the moments taken over `axes`.
#include <cmath>

#include "ops/common/norm.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(0))
    for (int64_t axis : a.attrs.ints("axes")) TRY(a.axis(axis, a.rank(0)));
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  Shape reduced = x.shape();
  for (int64_t axis : a.attrs.ints("axes")) reduced[size_t((axis + x.rank()) % x.rank())] = 1;
  const size_t cells = size_t(num_elements(reduced));
  const Shape strides = broadcast_strides(reduced, x.shape());
  const std::vector<double> values = x.to_doubles();
  std::vector<double> mean(cells, 0.0), variance(cells, 0.0);
  const double n = double(values.size()) / double(cells);
  auto each = [&](auto f) {
    Walker walk(x.shape(), {strides});
    for (size_t i = 0; i < values.size(); ++i, walk.next()) f(i, size_t(walk.offset(0)));
  };
  each([&](size_t i, size_t cell) { mean[cell] += values[i] / n; });
  each([&](size_t i, size_t cell) { variance[cell] += (values[i] - mean[cell]) * (values[i] - mean[cell]) / n; });
  each([&](size_t i, size_t cell) { y.set(int64_t(i), (values[i] - mean[cell]) / (std::sqrt(variance[cell]) + 1e-9)); });
  return {};
}

extern const Op op_mean_variance_normalization{
    .name = "MeanVarianceNormalization",
    .version = 13,
    .compatible_from = 9,
    .inputs = {{"X", kFloats}},
    .attrs = {{"axes", Ints{0, 2, 3}}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 5, 7}}}}, {{{{4, 9}}}, {{"axes", Ints{-1}}}}},
};

}  // namespace tenon::ops
