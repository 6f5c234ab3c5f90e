#include "ops/common/norm.h"

#include <cmath>

#include "ops/common/pointwise.h"

namespace tenon {

Moments moments(const double* x, int64_t n) {
  Moments m;
  for (int64_t i = 0; i < n; ++i) m.mean += x[i];
  m.mean /= double(n);
  for (int64_t i = 0; i < n; ++i) m.variance += (x[i] - m.mean) * (x[i] - m.mean);
  m.variance /= double(n);
  return m;
}

Status infer_same(InferArgs& a) {
  if (a.ranked(0)) a.set(0, a.dtype(0), a.shape(0));
  else a.set_unranked(0, a.dtype(0));
  return {};
}

void normalize_rows(std::vector<double>& x, int64_t rows, double epsilon) {
  if (x.empty()) return;
  const int64_t n = int64_t(x.size()) / rows;
  for (int64_t r = 0; r < rows; ++r) {
    double* row = x.data() + r * n;
    const Moments m = moments(row, n);
    const double factor = 1 / std::sqrt(m.variance + epsilon);
    for (int64_t i = 0; i < n; ++i) row[i] = (row[i] - m.mean) * factor;
  }
}

void scale_channels(std::vector<double>& x, int64_t batch, const std::vector<double>& scale,
                    const std::vector<double>& bias) {
  if (x.empty()) return;
  const size_t plane = x.size() / (size_t(batch) * scale.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i / plane % scale.size();
    x[i] = x[i] * scale[c] + bias[c];
  }
}

void store_scaled(Tensor& y, const std::vector<double>& x, const Tensor& scale, const Tensor& bias) {
  const std::vector<double> s = scale.to_doubles(), b = bias ? bias.to_doubles() : std::vector<double>();
  Walker walk(y.shape(), {broadcast_strides(scale.shape(), y.shape()),
                          bias ? broadcast_strides(bias.shape(), y.shape()) : Shape(y.shape().size(), 0)});
  for (int64_t i = 0; i < y.size(); ++i, walk.next())
    y.set(i, x[size_t(i)] * s[size_t(walk.offset(0))] + (bias ? b[size_t(walk.offset(1))] : 0.0));
}

Status check_broadcasts_to_input(const InferArgs& a, size_t i) {
  if (!a.ranked(0) || !a.ranked(i)) return {};
  const SymShape &x = a.shape(0), &s = a.shape(i);
  bool fits = s.size() <= x.size();
  for (size_t d = 0; fits && d < s.size(); ++d) {
    const Dim &from = s[s.size() - 1 - d], &to = x[x.size() - 1 - d];
    fits = !from.is_const() || !to.is_const() || from.is(1) || from == to;
  }
  if (fits) return {};
  return invalid_model("input '", a.op.inputs[i].name, "' of shape ", to_string(s), " does not broadcast to ", to_string(x));
}

}  // namespace tenon
