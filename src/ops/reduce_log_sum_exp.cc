// ReduceLogSumExp: y = log(sum(exp(x))) over `axes`, computed as max + log(sum(exp(x - max))).
#include <cmath>

#include "ops/common/pointwise.h"
#include "ops/common/reduce.h"

namespace tenon::ops {

// The running pair (top, sum of exp(x - top)) needs two numbers, so the largest value is found first and the
// sum runs over what is left when it is taken away.
static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const std::vector<bool> reduced = reduced_axes(a);
  Shape strides(x.shape().size());
  for (int64_t d = x.rank() - 1, stride = 1; d >= 0; --d) {
    strides[size_t(d)] = reduced[size_t(d)] ? 0 : stride;
    if (!reduced[size_t(d)]) stride *= x.dim(d);
  }
  const std::vector<double> in = x.to_doubles();
  std::vector<double> top(size_t(y.size()), -HUGE_VAL), sum(top.size(), 0.0);
  Walker first(x.shape(), {strides}), second(x.shape(), {strides});
  for (double v : in) {
    double& t = top[size_t(first.offset(0))];
    if (v > t || std::isnan(v)) t = v;
    first.next();
  }
  for (double v : in) {
    const size_t o = size_t(second.offset(0));
    sum[o] += std::isinf(top[o]) ? v == top[o] : std::exp(v - top[o]);  // inf - inf would be NaN
    second.next();
  }
  for (int64_t i = 0; i < y.size(); ++i) {
    const double v = std::isinf(top[size_t(i)]) ? top[size_t(i)] : top[size_t(i)] + std::log(sum[size_t(i)]);
    if (is_float(y.dtype()))
      y.set(i, v);
    else
      y.set_int(i, std::abs(v) < 9e18 ? int64_t(v) : 0);
  }
  return {};
}

extern const Op op_reduce_log_sum_exp{
    .name = "ReduceLogSumExp",
    .version = 28,
    .compatible_from = 18,
    .older = {{1, upgrade_reduce_axes}},
    .inputs = reduce_inputs(kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}),
    .outputs = {{"reduced"}},
    .attrs = reduce_attrs(),
    .infer = [](InferArgs& a) { return infer_reduce(a); },
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 32},
    .samples = reduce_samples(),
};

}  // namespace tenon::ops
