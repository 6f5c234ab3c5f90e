// QLinearConv: y = saturate(round((conv(x - x_zero, w - w_zero) + B) * x_scale * w_scale / y_scale) +
// y_zero); the weights may have one scale and zero point for each output channel, B is in units of x_scale *
// w_scale.
#include "ops/common/conv.h"
#include "ops/common/flops.h"
#include "ops/common/quantize.h"

namespace tenon::ops {

enum Input : size_t { kX, kXScale, kXZero, kW, kWScale, kWZero, kYScale, kYZero, kB };

static Status infer(InferArgs& a) {
  for (size_t i : {kXScale, kXZero, kYScale, kYZero, kWScale, kWZero}) {
    if (!a.ranked(i)) continue;
    auto shape = to_concrete(a.shape(i));
    if (!shape || num_elements(*shape) == 1) continue;
    if (i != kWScale && i != kWZero)
      return invalid_model("input '", a.op.inputs[i].name, "' must be one value");
    if (shape->size() != 1)
      return invalid_model("input '", a.op.inputs[i].name, "' must be one value or a vector");
    if (a.ranked(kW) && !a.shape(kW).empty() && a.shape(kW)[0].is_const() && !a.shape(kW)[0].is((*shape)[0]))
      return invalid_model("input '", a.op.inputs[i].name, "' has ", (*shape)[0], " values for ",
                           a.shape(kW)[0].constant(), " output channels");
  }
  if (a.ranked(kB)) {
    if (a.rank(kB) != 1) return invalid_model("the bias must be a vector, it has rank ", a.rank(kB));
    if (a.ranked(kW) && !a.shape(kW).empty() && a.shape(kB)[0].is_const() && a.shape(kW)[0].is_const() &&
        !(a.shape(kB)[0] == a.shape(kW)[0]))
      return invalid_model("the bias has ", a.shape(kB)[0].constant(), " values for ",
                           a.shape(kW)[0].constant(), " output channels");
  }
  return infer_conv(a, kW, a.dtype(kYZero));
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(kX), &w = a.x(kW);
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const ConvSizes sizes = TRY(conv_sizes(a.attrs, x.shape(), w.shape()));
  std::vector<double> xs = x.to_doubles(), ws = w.to_doubles();
  const int64_t channels = w.dim(0), per_channel = int64_t(ws.size()) / channels;
  auto of_channel = [](const Tensor& t, int64_t m) { return t.at(t.size() == 1 ? 0 : m); };
  for (double& v : xs) v -= a.x(kXZero).at(0);
  for (size_t i = 0; i < ws.size(); ++i) ws[i] -= of_channel(a.x(kWZero), int64_t(i) / per_channel);
  std::vector<double> sum = convolve(sizes, xs, ws);
  if (a.has(kB)) add_channel_bias(sum, x.dim(0), a.x(kB).to_doubles());
  const int64_t spatial = y.size() / (x.dim(0) * channels);
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t m = i / spatial % channels;
    const float factor =
        float(a.x(kXScale).at(0)) * float(of_channel(a.x(kWScale), m)) / float(a.x(kYScale).at(0));
    store_quantized(y, i, sum[size_t(i)] * double(factor), a.x(kYZero).at(0), true);
  }
  return {};
}

static constexpr DTypeSet kBytes{DType::i8, DType::u8};

static Sample sample(Shape x, Shape w, Shape w_scale, Attrs attrs) {
  const SampleInput scale{{}, DType::f32, 0.01, 0.1}, zero{{}, DType::u8, 0, 9};
  return {{{std::move(x), DType::u8, 0, 255},
           scale,
           zero,
           {std::move(w), DType::i8, -127, 127},
           {w_scale, DType::f32, 0.01, 0.1},
           {w_scale, DType::i8, 0, 0},
           {{}, DType::f32, 0.5, 2},
           zero},
          std::move(attrs)};
}

extern const Op op_qlinear_conv{
    .name = "QLinearConv",
    .version = 10,
    .compatible_from = 10,
    .inputs = {{"x", kBytes, 'X'},
               {"x_scale", DType::f32, 0},
               {"x_zero_point", kBytes, 'X'},
               {"w", kBytes, 'W'},
               {"w_scale", DType::f32, 0},
               {"w_zero_point", kBytes, 'W'},
               {"y_scale", DType::f32, 0},
               {"y_zero_point", kBytes, 'Y'},
               {"B", DType::i32, 0, Param::optional}},
    .outputs = {{"y"}},
    .attrs = {{"auto_pad", std::string("NOTSET")},
              optional_attr("dilations", AttrKind::ints),
              {"group", int64_t(1)},
              optional_attr("kernel_shape", AttrKind::ints),
              optional_attr("pads", AttrKind::ints),
              optional_attr("strides", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return conv_flops(a, 3); },
    .fusion = Fusion::out_elementwise_fusable,
    .samples = {sample({1, 3, 7, 7}, {4, 3, 3, 3}, {4}, {{"pads", Ints{1, 1, 1, 1}}}),
                sample({2, 4, 6}, {4, 2, 3}, {}, {{"group", int64_t(2)}, {"strides", Ints{2}}})},
};

}  // namespace tenon::ops
