// LRN: y = x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels)^beta.
#include <algorithm>
#include <cmath>

#include "ops/common/norm.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.attrs.i("size") < 1) return invalid_model("attribute 'size' is ", a.attrs.i("size"), ", it must be positive");
  if (a.ranked(0) && a.rank(0) < 2) return invalid_model("needs an input of rank 2 or more, not ", a.rank(0));
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (x.size() == 0) return {};
  const int64_t batch = x.dim(0), channels = x.dim(1), plane = x.size() / (batch * channels);
  const int64_t size = a.attrs.i("size"), before = std::min((size - 1) / 2, channels), after = std::min(size / 2, channels);
  const double bias = a.attrs.f("bias"), beta = a.attrs.f("beta"), factor = double(a.attrs.f("alpha")) / double(size);
  const std::vector<double> in = x.to_doubles();
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < plane; ++i) {
        double squares = 0;
        for (int64_t k = std::max<int64_t>(0, c - before); k <= std::min(channels - 1, c + after); ++k) {
          const double v = in[size_t((n * channels + k) * plane + i)];
          squares += v * v;
        }
        const int64_t at = (n * channels + c) * plane + i;
        y.set(at, in[size_t(at)] / std::pow(bias + factor * squares, beta));
      }
  return {};
}

extern const Op op_lrn{
    .name = "LRN",
    .version = 13,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .attrs = {{"alpha", 1e-4f}, {"beta", 0.75f}, {"bias", 1.0f}, required_attr("size", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 32},
    .samples = {{{{{1, 7, 5, 3}}}, {{"size", int64_t(5)}, {"alpha", 0.1f}}}, {{{{2, 4, 3}}}, {{"size", int64_t(4)}}}},
};

}  // namespace tenon::ops
