// com.microsoft FusedConv: Conv, plus Z of the output's shape if given, then the activation function that is named.
#include "ops/common/activation.h"
#include "ops/common/conv.h"
#include "ops/common/flops.h"

namespace tenon::ops {

static Result<Activation> activation(const Attrs& attrs) {
  Activation f{Activation::affine, 1, 0};
  if (attrs.s("activation").empty()) return f;
  f = TRY(find_activation(attrs.s("activation")));
  const Floats& parameters = attrs.floats("activation_params");
  if (parameters.size() > 0) f.alpha = parameters[0];
  if (parameters.size() > 1) f.beta = parameters[1];
  return f;
}

static Status infer(InferArgs& a) {
  TRY(activation(a.attrs));
  if (a.has(2) && a.ranked(1) && a.rank(1) > 0) TRY(check_vector(a, 2, a.shape(1)[0]));
  TRY(infer_conv(a, 1, a.dtype(0)));
  if (!a.ranked(3) || !a.out[0].ranked) return {};
  const SymShape &y = a.out[0].shape, &z = a.shape(3);
  bool same = y.size() == z.size();
  for (size_t d = 0; same && d < y.size(); ++d) same = !y[d].is_const() || !z[d].is_const() || y[d] == z[d];
  if (!same) return invalid_model("input 'Z' has shape ", to_string(z), ", the output ", to_string(y));
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const ConvSizes sizes = TRY(conv_sizes(a.attrs, a.x(0).shape(), a.x(1).shape()));
  const Activation f = TRY(activation(a.attrs));
  std::vector<double> out = convolve(sizes, a.x(0).to_doubles(), a.x(1).to_doubles());
  if (a.has(2)) add_channel_bias(out, sizes.batch, a.x(2).to_doubles());
  for (size_t i = 0; i < out.size(); ++i) out[i] = f(out[i] + (a.has(3) ? a.x(3).at(int64_t(i)) : 0));
  store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  return {};
}

extern const Op op_ms_fused_conv{
    .name = "FusedConv",
    .domain = "com.microsoft",
    .inputs = {{"X", kFloats}, {"W", kFloats}, {"B", kFloats, 'T', Param::optional}, {"Z", kFloats, 'T', Param::optional}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"group", int64_t(1)},
              optional_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints),
              optional_attr("activation", AttrKind::s),
              optional_attr("activation_params", AttrKind::floats)},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return conv_flops(a, 1); },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32, .f16 = 4},
    .samples = {{{{{1, 3, 9, 7}}, {{4, 3, 3, 3}}, {{4}}}, {{"pads", Ints{1, 1, 1, 1}}, {"activation", "Relu"}}},
                {{{{1, 2, 5, 4}}, {{3, 2, 2, 2}}, {.absent = true}, {{1, 3, 4, 3}}},
                 {{"activation", "Clip"}, {"activation_params", Floats{-1, 1}}}}},
};

}  // namespace tenon::ops
