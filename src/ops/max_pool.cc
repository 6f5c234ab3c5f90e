// MaxPool: the largest element of each window, and on request its place in the flattened input.
#include <cmath>

#include "ops/common/flops.h"
#include "ops/common/pool.h"

namespace tenon::ops {

// The same element's number when the first spatial dimension, not the last, runs fastest.
static int64_t column_major(int64_t offset, const Shape& shape) {
  int64_t out = 0, stride = num_elements(shape);
  for (size_t d = shape.size(); d-- > 0;) {
    stride /= shape[d];
    out += offset % shape[d] * stride;
    offset /= shape[d];
  }
  return out;
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const bool last = a.attrs.i("channels_last") != 0, by_column = a.attrs.i("storage_order") != 0;
  const PoolSizes s = TRY(pool_sizes(a.attrs, channels_first(a.x(0).shape(), last)));
  const std::vector<double> x = read_channels_first(a.x(0), last);
  std::vector<double> out(size_t(y.size()));
  const double lowest = y.dtype() == DType::i8 ? -128 : y.dtype() == DType::u8 ? 0 : -HUGE_VAL;
  for_each_window(s, [&](int64_t plane, int64_t i, const Shape& o) {
    const double* in = x.data() + plane * s.in_plane;
    double best = lowest;
    int64_t place = -1;
    for_each_tap(s.windows, o.data(), 0, [&](int64_t offset) {
      const double v = in[offset];
      if (place < 0 || v > best || (std::isnan(v) && !std::isnan(best))) best = v, place = offset;
    });
    out[size_t(plane * s.out_plane + i)] = best;
    if (!a.wants(1)) return;
    if (by_column && place >= 0) place = column_major(place, s.in);
    a.y(1).set_int(plane * s.out_plane + i, place < 0 ? -1 : plane * s.in_plane + place);
  });
  write_channels_first(y, out, last);
  return {};
}

extern const Op op_max_pool{
    .name = "MaxPool",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats | DTypeSet{DType::i8, DType::u8}}},
    .outputs = {{"Y"}, {"Indices", DType::i64, 'I', Param::optional}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"ceil_mode", int64_t(0)},
              {"storage_order", int64_t(0)},
              required_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints),
              {"channels_last", int64_t(0)}},  // not ONNX's: the layout pass sets it; x and y are [N, spatial..., C]
    .infer = infer_pool,
    .reference = reference,
    .flops = pool_flops,
    .fusion = Fusion::out_elementwise_fusable,
    .samples = {{{{{1, 3, 9, 7}}},
                 {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}},
                {{{{2, 3, 11}}}, {{"kernel_shape", Ints{2}}, {"ceil_mode", int64_t(1)}, {"strides", Ints{2}}}, 2},
                {{{{1, 5, 4, 3}}}, {{"kernel_shape", Ints{2, 2}}, {"channels_last", int64_t(1)}}},
                {{{{0, 2, 4, 4}}}, {{"kernel_shape", Ints{2, 2}}}}},
};

}  // namespace tenon::ops
