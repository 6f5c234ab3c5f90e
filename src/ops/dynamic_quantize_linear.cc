// DynamicQuantizeLinear: scale and zero point from the range of x (stretched to hold 0), then
// y = saturate(round(x / y_scale) + y_zero_point) in u8.
#include "ops/common/quantize.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(0))
    a.set(0, DType::u8, a.shape(0));
  else
    a.set_unranked(0, DType::u8);
  a.set(1, DType::f32, {});
  a.set(2, DType::u8, {});
  return {};
}

static Status reference(RefArgs& a) {
  const std::vector<double> x = a.x(0).to_doubles();
  const DynamicRange range = dynamic_range(x);
  for (size_t i = 0; i < x.size(); ++i)
    a.y(0).set_int(int64_t(i),
                   quantized(double(float(x[i]) / range.scale), double(range.zero_point), DType::u8));
  if (a.wants(1)) a.y(1).set(0, double(range.scale));
  if (a.wants(2)) a.y(2).set_int(0, range.zero_point);
  return {};
}

extern const Op op_dynamic_quantize_linear{
    .name = "DynamicQuantizeLinear",
    .version = 11,
    .compatible_from = 11,
    .inputs = {{"x", DType::f32}},
    .outputs = {{"y"}, {"y_scale"}, {"y_zero_point"}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{3, 5}}}, {}, 3}, {{{{2, 2}, DType::f32, 1, 2}}, {}, 3}, {{{{0}}}, {}, 3}},
};

}  // namespace tenon::ops
