#include "ops/common/pool.h"

namespace tenon {

Status infer_pool(InferArgs& a) {
  const Ints& kernel = a.attrs.ints("kernel_shape");
  const bool last = a.attrs.i("channels_last") != 0;
  const WindowSpec spec = TRY(window_spec(a.attrs, to_sym(kernel)));
  const size_t rank = kernel.size() + 2;
  if (last && a.out.size() > 1) return invalid_model("indices have no meaning with channels_last");
  if (a.ranked(0) && size_t(a.rank(0)) != rank)
    return invalid_model("a kernel of shape ", kernel, " needs an input of rank ", rank, ", not ", a.rank(0));
  SymShape y;
  if (a.ranked(0)) {
    const SymShape x = channels_first(a.shape(0), last);
    y = {x[0], x[1]};
    for (size_t d = 2; d < rank; ++d) y.push_back(TRY(window_output(spec, d - 2, x[d])));
  } else {
    for (size_t d = 0; d < rank; ++d) y.push_back(a.fresh("pool"));
  }
  a.set(0, a.dtype(0), channels_last(y, last));
  a.set(1, DType::i64, y);
  return {};
}

Status infer_global_pool(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.rank(0) < 2) return invalid_model("needs an input of rank 2 or more, not ", a.rank(0));
  SymShape y(size_t(a.rank(0)), Dim(1));
  y[0] = a.shape(0)[0];
  y[1] = a.shape(0)[1];
  a.set(0, a.dtype(0), y);
  return {};
}

Status reference_global_pool(RefArgs& a, double (*reduce)(const Attrs&, const double* plane, int64_t n)) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const std::vector<double> x = a.x(0).to_doubles();
  const int64_t plane = a.x(0).size() / y.size();
  for (int64_t p = 0; p < y.size(); ++p) y.set(p, reduce(a.attrs, x.data() + p * plane, plane));
  return {};
}

Result<PoolSizes> pool_sizes(const Attrs& attrs, const Shape& x) {
  PoolSizes s;
  const WindowSpec spec = TRY(window_spec(attrs, to_sym(attrs.ints("kernel_shape"))));
  s.planes = x[0] * x[1];
  s.windows = resolve_windows(spec, std::span(x).subspan(2));
  for (const Window& w : s.windows) {
    s.in.push_back(w.in), s.out.push_back(w.out);
    s.in_plane *= w.in, s.out_plane *= w.out;
  }
  return s;
}

}  // namespace tenon
