// Conv: y[n, m, o] = b[m] + sum over c, k of x[n, c, o*stride - pad + k*dilation] * w[m, c, k], in groups of channels.
#include "ops/common/conv.h"
#include "ops/common/flops.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.has(2) && a.ranked(1) && a.rank(1) > 0) TRY(check_vector(a, 2, a.shape(1)[0]));
  return infer_conv(a, 1, a.dtype(0));
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const bool last = a.attrs.i("channels_last") != 0;
  const ConvSizes sizes = TRY(conv_sizes(a.attrs, channels_first(a.x(0).shape(), last), a.x(1).shape()));
  std::vector<double> out = convolve(sizes, read_channels_first(a.x(0), last), a.x(1).to_doubles());
  if (a.has(2)) add_channel_bias(out, sizes.batch, a.x(2).to_doubles());
  write_channels_first(y, out, last);
  return {};
}

extern const Op op_conv{
    .name = "Conv",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}, {"W", kFloats}, {"B", kFloats, 'T', Param::optional}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"group", int64_t(1)},
              optional_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints),
              {"channels_last", int64_t(0)},  // not ONNX's: the layout pass sets it; x and y are [N, spatial..., C]
              {"exact", int64_t(0)}},         // not ONNX's: lower_precision sets it where float32 factors must not be rounded to tf32
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return conv_flops(a, 1); },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32, .f16 = 4},
    .samples = {{{{{1, 3, 9, 7}}, {{4, 3, 3, 3}}, {{4}}}, {{"pads", Ints{1, 1, 1, 1}}}},
                {{{{2, 4, 11}}, {{6, 2, 3}}}, {{"group", int64_t(2)}, {"strides", Ints{2}}, {"dilations", Ints{2}}}},
                {{{{1, 5, 4, 3}}, {{2, 3, 2, 2}}}, {{"auto_pad", "SAME_UPPER"}, {"channels_last", int64_t(1)}}},
                {{{{2, 4, 5, 3, 4}}, {{6, 2, 2, 3, 2}}, {{6}}},
                 {{"pads", Ints{1, 0, 1, 0, 2, 0}},
                  {"strides", Ints{2, 1, 1}},
                  {"dilations", Ints{2, 1, 1}},
                  {"group", int64_t(2)},
                  {"channels_last", int64_t(1)}}},
                {{{{0, 1, 4, 4}}, {{1, 1, 2, 2}}}}},
};

}  // namespace tenon::ops
