// LpPool: y = (sum of |x|^p over the window)^(1/p).
#include <cmath>

#include "ops/common/flops.h"
#include "ops/common/pool.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.attrs.i("p") < 1) return invalid_model("attribute 'p' is ", a.attrs.i("p"), ", it must be positive");
  return infer_pool(a);
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const PoolSizes s = TRY(pool_sizes(a.attrs, a.x(0).shape()));
  const std::vector<double> x = a.x(0).to_doubles();
  const double p = double(a.attrs.i("p"));
  for_each_window(s, [&](int64_t plane, int64_t i, const Shape& o) {
    const double* in = x.data() + plane * s.in_plane;
    double sum = 0;
    for_each_tap(s.windows, o.data(), 0, [&](int64_t offset) { sum += std::pow(std::abs(in[offset]), p); });
    y.set(plane * s.out_plane + i, std::pow(sum, 1 / p));
  });
  return {};
}

extern const Op op_lp_pool{
    .name = "LpPool",
    .version = 22,
    .compatible_from = 2,
    .inputs = {{"X", kFloats}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"ceil_mode", int64_t(0)},
              {"p", int64_t(2)},
              required_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .flops = pool_flops,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 16},
    .samples = {{{{{1, 3, 9, 7}}}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"p", int64_t(3)}}},
                {{{{2, 3, 11}}}, {{"kernel_shape", Ints{4}}, {"pads", Ints{1, 1}}}}},
};

}  // namespace tenon::ops
