// InstanceNormalization: y = (x - mean) / sqrt(variance + epsilon) * scale + B, the moments taken over each channel of
// each instance.
#include "ops/common/norm.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return infer_same(a);
  if (a.rank(0) < 3) return invalid_model("needs an input of rank 3 or more, not ", a.rank(0));
  TRY(check_vector(a, 1, a.shape(0)[1]));
  TRY(check_vector(a, 2, a.shape(0)[1]));
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  std::vector<double> values = x.to_doubles();
  normalize_rows(values, x.dim(0) * x.dim(1), a.attrs.f("epsilon"));
  scale_channels(values, x.dim(0), a.x(1).to_doubles(), a.x(2).to_doubles());
  store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  return {};
}

extern const Op op_instance_normalization{
    .name = "InstanceNormalization",
    .version = 22,
    .compatible_from = 6,
    .inputs = {{"input", kFloats}, {"scale", kFloats}, {"B", kFloats}},
    .outputs = {{"output"}},
    .attrs = {{"epsilon", 1e-5f}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 5, 7}}, {{3}}, {{3}}}}, {{{{1, 4, 9}}, {{4}}, {{4}}}}, {{{{0, 4, 9}}, {{4}}, {{4}}}}},
};

}  // namespace tenon::ops
