// AffineGrid: the place in the input of each output position, for GridSample: grid[n, o] = theta[n] * (o, 1).
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(0) && a.rank(0) != 3) return invalid_model("input 'theta' has rank ", a.rank(0), ", 3 is needed");
  const std::vector<Dim>* size = a.value(1);
  if (!size) {
    if (a.ranked(1) && (a.rank(1) != 1 || (a.shape(1)[0].is_const() && !a.shape(1)[0].is(4) && !a.shape(1)[0].is(5))))
      return invalid_model("input 'size' has shape ", to_string(a.shape(1)), ", [4] or [5] is needed");
    if (a.ranked(1) && a.shape(1)[0].is_const())
      a.set_fresh(0, a.dtype(0), size_t(a.shape(1)[0].constant()), "grid");
    else a.set_unranked(0, a.dtype(0));
    return {};
  }
  if (size->size() != 4 && size->size() != 5) return invalid_model("input 'size' has ", size->size(), " values, 4 or 5 are needed");
  const int64_t spatial = int64_t(size->size()) - 2;
  if (a.ranked(0)) {
    const SymShape& theta = a.shape(0);
    if ((theta[1].is_const() && !theta[1].is(spatial)) || (theta[2].is_const() && !theta[2].is(spatial + 1)))
      return invalid_model("input 'theta' has shape ", to_string(theta), ", [n, ", spatial, ", ", spatial + 1, "] is needed");
    if (theta[0].is_const() && (*size)[0].is_const() && !(theta[0] == (*size)[0]))
      return invalid_model("input 'theta' has shape ", to_string(theta), " for a batch of ", (*size)[0].to_string());
  }
  SymShape y = {(*size)[0]};
  y.insert(y.end(), size->begin() + 2, size->end());
  y.push_back(Dim(spatial));
  a.set(0, a.dtype(0), y);
  return {};
}

static Status reference(RefArgs& a) {
  if (!a.out[0]) return invalid_argument("the grid's size is not known");
  Tensor& y = a.y(0);
  const int64_t spatial = y.rank() - 2;
  const bool align = a.attrs.i("align_corners") != 0;
  const std::vector<double> theta = a.x(0).to_doubles();
  for (int64_t i = 0; i < y.size() / spatial; ++i) {
    double p[4] = {0, 0, 0, 0};  // x, y, z, 1: the last dimension first
    int64_t rest = i;
    for (int64_t d = 0; d < spatial; ++d) {
      const int64_t n = y.dim(spatial - d), at = rest % n;
      rest /= n;
      p[d] = align ? (n > 1 ? 2 * double(at) / double(n - 1) - 1 : 0.0) : (2 * double(at) + 1) / double(n) - 1;
    }
    p[spatial] = 1;
    for (int64_t r = 0; r < spatial; ++r) {
      double sum = 0;
      for (int64_t c = 0; c <= spatial; ++c) sum += theta[size_t((rest * spatial + r) * (spatial + 1) + c)] * p[c];
      y.set(i * spatial + r, sum);
    }
  }
  return {};
}

extern const Op op_affine_grid{
    .name = "AffineGrid",
    .version = 20,
    .compatible_from = 20,
    .inputs = {{"theta", kFloats}, {"size", DType::i64, 'I'}},
    .outputs = {{"grid"}},
    .attrs = {{"align_corners", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 2, 3}}, {{4}, DType::i64, 0, 0, {2, 3, 4, 5}}}},
                {{{{1, 3, 4}}, {{5}, DType::i64, 0, 0, {1, 1, 2, 3, 4}}}, {{"align_corners", int64_t(1)}}}},
};

}  // namespace tenon::ops
