#include "ops/common/skip_norm.h"

#include <cmath>

#include "ops/common/movement.h"
#include "ops/common/pointwise.h"

namespace tenon {

void RowNorm::run(const double* x, int64_t n, double* y) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  mean = simplified ? 0 : sum / double(n);
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  inverse_deviation = 1 / std::sqrt(squares / double(n) + epsilon);
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse_deviation * gamma[i] + (beta ? beta[i] : 0);
}

Status check_hidden(const InferArgs& a, size_t i, const Dim& d) {
  if (!a.ranked(i)) return {};
  const SymShape& s = a.shape(i);
  if (s.size() != 1 || (s[0].is_const() && d.is_const() && !(s[0] == d)))
    return invalid_model("input '", a.op.inputs[i].name, "' has shape ", to_string(s), ", not [",
                         d.to_string(), "]");
  return {};
}

Status infer_skip_norm(InferArgs& a, bool simplified) {
  const DType t = a.dtype(0);
  if (!a.ranked(0)) {
    for (size_t i : {0, 3}) a.set_unranked(i, t);
    for (size_t i : {1, 2}) a.set_unranked(i, DType::f32);
    return {};
  }
  if (a.rank(0) < 1) return invalid_model("input is a scalar");
  for (size_t i = 2; i < (simplified ? 4u : 5u); ++i) TRY(check_hidden(a, i, a.shape(0).back()));
  if (a.ranked(1)) {
    const SymShape both = TRY(broadcast_shapes(a.shape(0), a.shape(1)));
    bool fits = both.size() == a.shape(0).size();
    for (size_t i = 0; fits && i < both.size(); ++i)
      fits = !both[i].is_const() || !a.shape(0)[i].is_const() || both[i] == a.shape(0)[i];
    if (!fits) return invalid_model("skip ", to_string(a.shape(1)), " does not fit ", to_string(a.shape(0)));
  }
  SymShape statistics = a.shape(0);
  statistics.back() = Dim(1);
  for (size_t i : {0, 3}) a.set(i, t, a.shape(0));
  for (size_t i : {1, 2}) a.set(i, DType::f32, statistics);
  return {};
}

Status reference_skip_norm(RefArgs& a, bool simplified) {
  const Tensor& x = a.x(0);
  const int64_t n = x.dim(x.rank() - 1);
  const size_t bias_at = simplified ? 3 : 4;
  std::vector<double> sum = x.to_doubles(), skip = a.x(1).to_doubles(), gamma = a.x(2).to_doubles(), beta,
                      bias;
  if (!simplified && a.has(3)) beta = a.x(3).to_doubles();
  if (a.has(bias_at)) bias = a.x(bias_at).to_doubles();
  Walker walk(x.shape(), {broadcast_strides(a.x(1).shape(), x.shape())});
  for (size_t i = 0; i < sum.size(); ++i, walk.next()) {
    sum[i] += skip[size_t(walk.offset(0))];
    if (!bias.empty()) sum[i] += bias[i % size_t(n)];
  }
  RowNorm norm{simplified, double(a.attrs.f("epsilon")), gamma.data(), beta.empty() ? nullptr : beta.data()};
  std::vector<double> y(sum.size());
  for (int64_t row = 0; n > 0 && row < x.size() / n; ++row) {
    norm.run(&sum[size_t(row * n)], n, &y[size_t(row * n)]);
    if (a.wants(1)) a.y(1).set(row, norm.mean);
    if (a.wants(2)) a.y(2).set(row, norm.inverse_deviation);
  }
  store_doubles(x.dtype(), a.y(0).data(), 0, x.size(), y.data());
  if (a.wants(3)) store_doubles(x.dtype(), a.y(3).data(), 0, x.size(), sum.data());
  return {};
}

Status infer_simplified_norm(InferArgs& a) {
  const DType t = a.dtype(1);
  if (!a.ranked(0)) return a.set_unranked(0, t), a.set_unranked(1, DType::f32), Status();
  const size_t axis = size_t(TRY(a.axis(a.attrs.i("axis"), a.rank(0))));
  const SymShape& x = a.shape(0);
  if (a.ranked(1)) {
    const Dim have = product(a.shape(1)), want = product(x, axis);
    if (have.is_const() && want.is_const() && !(have == want))
      return invalid_model("scale ", to_string(a.shape(1)), " does not fit the normalised part of ",
                           to_string(x));
  }
  a.set(0, t, x);
  SymShape statistics = x;
  for (size_t i = axis; i < x.size(); ++i) statistics[i] = Dim(1);
  a.set(1, DType::f32, statistics);
  return {};
}

Status reference_simplified_norm(RefArgs& a) {
  const Tensor& x = a.x(0);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  const AxisSplit s = split_at(x.shape(), axis);
  const int64_t n = s.n * s.inner;
  const std::vector<double> in = x.to_doubles(), scale = a.x(1).to_doubles();
  std::vector<double> y(in.size());
  RowNorm norm{true, double(a.attrs.f("epsilon")), scale.data(), nullptr};
  for (int64_t row = 0; n > 0 && row < s.outer; ++row) {
    norm.run(&in[size_t(row * n)], n, &y[size_t(row * n)]);
    if (a.wants(1)) a.y(1).set(row, norm.inverse_deviation);
  }
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, x.size(), y.data());
  return {};
}

}  // namespace tenon
