// GlobalLpPool: y = (sum of |x|^p over each channel's plane)^(1/p).
#include <cmath>

#include "ops/common/pool.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.attrs.i("p") < 1) return invalid_model("attribute 'p' is ", a.attrs.i("p"), ", it must be positive");
  return infer_global_pool(a);
}

static double norm(const Attrs& attrs, const double* x, int64_t n) {
  const double p = double(attrs.i("p"));
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::pow(std::abs(x[i]), p);
  return std::pow(sum, 1 / p);
}

extern const Op op_global_lp_pool{
    .name = "GlobalLpPool",
    .version = 22,
    .compatible_from = 2,
    .inputs = {{"X", kFloats}},
    .attrs = {{"p", int64_t(2)}},
    .infer = infer,
    .reference = [](RefArgs& a) { return reference_global_pool(a, norm); },
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 7, 5}}}}, {{{{1, 4, 9}}}, {{"p", int64_t(3)}}}},
};

}  // namespace tenon::ops
