#include "ops/common/gemm.h"

#include "ops/common/matmul.h"
#include "ops/common/pointwise.h"

namespace tenon {

Status infer_gemm(InferArgs& a) {
  const bool ta = a.attrs.i("transA") != 0, tb = a.attrs.i("transB") != 0;
  for (size_t i = 0; i < 2; ++i)
    if (a.ranked(i) && a.rank(i) != 2)
      return invalid_model("input ", i, " must be a matrix, it has rank ", a.rank(i));
  SymShape y = {a.ranked(0) ? a.shape(0)[ta] : a.fresh("m"), a.ranked(1) ? a.shape(1)[!tb] : a.fresh("n")};
  if (a.ranked(0) && a.ranked(1)) TRY(unify_dims(a.shape(0)[!ta], a.shape(1)[tb], "the inner dimension"));
  if (a.ranked(2)) {
    const SymShape& c = a.shape(2);
    if (c.size() > 2) return invalid_model("input C must have rank 2 or less, it has rank ", c.size());
    for (size_t i = 0; i < c.size(); ++i) {
      const Dim &have = c[c.size() - 1 - i], &want = y[1 - i];
      if (have.is_const() && want.is_const() && !have.is(1) && !(have == want))
        return invalid_model("input C of shape ", to_string(c), " does not broadcast to ", to_string(y));
    }
  }
  a.set(0, a.dtype(0), y);
  return {};
}

std::vector<double> gemm_doubles(const RefArgs& a) {
  const bool ta = a.attrs.i("transA") != 0, tb = a.attrs.i("transB") != 0;
  const double alpha = a.attrs.f("alpha", 1), beta = a.attrs.f("beta", 1);
  const Tensor &x = a.x(0), &w = a.x(1);
  const int64_t m = x.dim(ta), k = x.dim(!ta), n = w.dim(!tb);
  std::vector<double> left = x.to_doubles(), right = w.to_doubles(), y(size_t(m * n));
  if (ta) left = transpose_last_two(left, x.shape());
  if (tb) right = transpose_last_two(right, w.shape());
  matmul(left.data(), right.data(), y.data(), m, k, n);
  const std::vector<double> c = a.has(2) && beta != 0 ? a.x(2).to_doubles() : std::vector<double>();
  Walker walk({m, n}, {c.empty() ? Shape{0, 0} : broadcast_strides(a.x(2).shape(), {m, n})});
  for (double& v : y) {
    v = alpha * v + (c.empty() ? 0 : beta * c[size_t(walk.offset(0))]);
    walk.next();
  }
  return y;
}

}  // namespace tenon
