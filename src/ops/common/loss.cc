#include "ops/common/loss.h"

#include "ops/common/window.h"

namespace tenon {

Status infer_loss(InferArgs& a) {
  const std::string& reduction = a.attrs.s("reduction");
  const bool none = reduction == "none";
  if (!none && reduction != "sum" && reduction != "mean")
    return invalid_model("attribute 'reduction' cannot be '", reduction, "'");
  if (!a.ranked(0)) {
    if (!none) a.set(0, a.dtype(0), {});
    else if (a.ranked(1)) a.set(0, a.dtype(0), a.shape(1));
    else a.set_unranked(0, a.dtype(0));
    return {};
  }
  const SymShape& x = a.shape(0);
  if (x.size() < 2) return invalid_model("needs scores of rank 2 or more, not ", x.size());
  SymShape want = {x[0]};
  want.insert(want.end(), x.begin() + 2, x.end());
  if (a.ranked(1)) {
    const SymShape& got = a.shape(1);
    bool same = got.size() == want.size();
    for (size_t d = 0; same && d < want.size(); ++d)
      same = !got[d].is_const() || !want[d].is_const() || got[d] == want[d];
    if (!same) return invalid_model("class indices of shape ", to_string(got), ", ", to_string(want), " is needed");
  }
  TRY(check_vector(a, 2, x[1]));
  a.set(0, a.dtype(0), none ? want : SymShape());
  return {};
}

Status reference_nll(RefArgs& a, const std::vector<double>& log_prob) {
  const Tensor& target = a.x(1);
  Tensor& y = a.y(0);
  const int64_t classes = a.x(0).dim(1), batch = a.x(0).dim(0);
  const int64_t plane = batch ? target.size() / batch : 0;
  const std::string& reduction = a.attrs.s("reduction");
  const std::vector<double> weights = a.has(2) ? a.x(2).to_doubles() : std::vector<double>();
  double total = 0, weight_sum = 0;
  for (int64_t i = 0; i < target.size(); ++i) {
    const int64_t t = target.int_at(i);
    double loss = 0;
    if (!a.attrs.has("ignore_index") || t != a.attrs.i("ignore_index")) {
      if (t < 0 || t >= classes) return invalid_argument("class ", t, " is out of range [0, ", classes, ")");
      const double weight = weights.empty() ? 1 : weights[size_t(t)];
      loss = -log_prob[size_t((i / plane * classes + t) * plane + i % plane)] * weight;
      weight_sum += weight;
    }
    total += loss;
    if (reduction == "none") y.set(i, loss);
  }
  if (reduction == "sum") y.set(0, total);
  if (reduction == "mean") y.set(0, total / weight_sum);
  return {};
}

}  // namespace tenon
