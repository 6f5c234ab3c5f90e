// Softmax: y = exp(x - max) / sum(exp(x - max)) along `axis`.
#include <cmath>

#include "ops/op.h"

namespace tenon::ops {

// Before opset 13 it worked on a matrix: all dimensions from `axis` (default 1) on were one. The same, unless more
// than one dimension follows `axis`.
static Status upgrade_softmax_1(Upgrade& u) {
  const ValueInfo x = u.info(u.node.inputs[0]);
  int64_t axis = u.node.attrs.i("axis", 1);
  if (!x.ranked) return unsupported("opset ", u.opset, " Softmax of an input of unknown rank");
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

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  const int64_t n = x.dim(axis);
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= x.dim(i);
  for (int64_t i = axis + 1; i < x.rank(); ++i) inner *= x.dim(i);
  const std::vector<double> in = x.to_doubles();  // [outer, n, inner]
  std::vector<double> out(in.size());
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      auto at = [&](int64_t k) { return size_t((o * n + k) * inner + i); };
      double top = -HUGE_VAL, sum = 0;
      for (int64_t k = 0; k < n; ++k) top = std::isnan(in[at(k)]) ? NAN : std::max(top, in[at(k)]);
      for (int64_t k = 0; k < n; ++k) sum += out[at(k)] = std::exp(in[at(k)] - top);
      for (int64_t k = 0; k < n; ++k) out[at(k)] /= sum;
    }
  store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  return {};
}

extern const Op op_softmax{
    .name = "Softmax",
    .version = 13,
    .compatible_from = 13,
    .older = {{1, upgrade_softmax_1}},
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(-1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .samples = {{{{{1, 10}}}}, {{{{2, 3, 1}}}, {{"axis", int64_t(1)}}}, {{{{4, 0}}}}, {{{{8, 503}}}}},
};

}  // namespace tenon::ops
