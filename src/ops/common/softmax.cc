#include "ops/common/softmax.h"

#include <cmath>

namespace tenon {

// Before opset 13 all dimensions from `axis` (default 1) on were one. The same, unless more than one dimension
// follows `axis`.
Status upgrade_softmax_1(Upgrade& u) {
  if (u.node.inputs.empty()) return invalid_model("has no input");
  const ValueInfo x = u.info(u.node.inputs[0]);
  int64_t axis = u.node.attrs.i("axis", 1);
  if (!x.ranked) return unsupported("opset ", u.opset, " ", u.node.op_type, " of an input of unknown rank");
  const int64_t rank = int64_t(x.shape.size());
  if (axis < 0) axis += rank;
  u.node.attrs.set("axis", axis);
  if (axis == rank - 1) return {};
  // y = Reshape(Softmax(Flatten(x, axis), -1), Shape(x))
  std::string flat = u.fresh_name("flat"), y = u.fresh_name("softmax"), shape = u.fresh_name("shape");
  u.before.push_back({"", "Flatten", u.node.name, {u.node.inputs[0]}, {flat}, {{"axis", axis}}});
  u.before.push_back({"", "Shape", u.node.name, {u.node.inputs[0]}, {shape}, {}});
  u.after.push_back({"", "Reshape", u.node.name, {y, shape}, u.node.outputs, {}});
  u.node.inputs = {flat};
  u.node.outputs = {y};
  u.node.attrs.set("axis", int64_t(-1));
  return {};
}

Status infer_softmax(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

std::vector<double> softmax_along(const std::vector<double>& x, int64_t outer, int64_t n, int64_t inner, bool log) {
  std::vector<double> y(x.size());
  if (x.empty()) return y;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      auto at = [&](int64_t k) { return size_t((o * n + k) * inner + i); };
      double top = -HUGE_VAL, sum = 0;
      for (int64_t k = 0; k < n; ++k) top = std::isnan(x[at(k)]) ? NAN : std::max(top, x[at(k)]);
      for (int64_t k = 0; k < n; ++k) sum += y[at(k)] = std::exp(x[at(k)] - top);
      const double log_sum = std::log(sum);
      for (int64_t k = 0; k < n; ++k) y[at(k)] = log ? x[at(k)] - top - log_sum : y[at(k)] / sum;
    }
  return y;
}

Status reference_softmax(RefArgs& a, bool log) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= x.dim(i);
  for (int64_t i = axis + 1; i < x.rank(); ++i) inner *= x.dim(i);
  const std::vector<double> out = softmax_along(x.to_doubles(), outer, x.dim(axis), inner, log);
  store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  return {};
}

}  // namespace tenon
