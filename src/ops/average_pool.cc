// AveragePool: the mean of each window; count_include_pad lets padding count as zeros.
#include "ops/common/flops.h"
#include "ops/common/pool.h"

namespace tenon::ops {

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const bool last = a.attrs.i("channels_last") != 0, include_pad = a.attrs.i("count_include_pad") != 0;
  const PoolSizes s = TRY(pool_sizes(a.attrs, channels_first(a.x(0).shape(), last)));
  const std::vector<double> x = read_channels_first(a.x(0), last);
  std::vector<double> out(size_t(y.size()));
  for_each_window(s, [&](int64_t plane, int64_t i, const Shape& o) {
    const double* in = x.data() + plane * s.in_plane;
    double sum = 0, count = 1;
    for (size_t d = 0; d < o.size(); ++d) {
      const Window& w = s.windows[d];
      // A partial window of ceil_mode reaches behind the padding; that part never counts.
      const auto [low, high] = include_pad ? w.taps(o[d], -w.pad_begin, w.in + w.pad_end) : w.taps(o[d]);
      count *= double(high - low);
    }
    for_each_tap(s.windows, o.data(), 0, [&](int64_t offset) { sum += in[offset]; });
    out[size_t(plane * s.out_plane + i)] = count > 0 ? sum / count : 0;
  });
  write_channels_first(y, out, last);
  return {};
}

extern const Op op_average_pool{
    .name = "AveragePool",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"ceil_mode", int64_t(0)},
              {"count_include_pad", int64_t(0)},
              required_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints),
              {"channels_last", int64_t(0)}},  // not ONNX's: the layout pass sets it; x and y are [N, spatial..., C]
    .infer = infer_pool,
    .reference = reference,
    .flops = pool_flops,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 8},
    .samples = {{{{{1, 3, 9, 7}}},
                 {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}},
                {{{{2, 3, 11}}},
                 {{"kernel_shape", Ints{3}},
                  {"ceil_mode", int64_t(1)},
                  {"strides", Ints{3}},
                  {"pads", Ints{1, 1}},
                  {"count_include_pad", int64_t(1)}}},
                {{{{1, 5, 4, 3}}}, {{"kernel_shape", Ints{2, 2}}, {"channels_last", int64_t(1)}}}},
};

}  // namespace tenon::ops
