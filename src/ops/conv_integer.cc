// ConvInteger: a convolution of 8-bit integers after subtracting their zero points, with sums in int32.
#include "ops/common/conv.h"
#include "ops/common/flops.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(2) && a.rank(2) > 1) return invalid_model("input 'x_zero_point' must be a scalar");
  if (a.ranked(2) && a.rank(2) == 1) TRY(check_vector(a, 2, Dim(1)));
  if (a.ranked(3) && a.rank(3) > 0 && a.ranked(1) && a.rank(1) > 0) {
    if (!a.shape(3)[0].is(1) || a.rank(3) > 1) TRY(check_vector(a, 3, a.shape(1)[0]));
  }
  return infer_conv(a, 1, DType::i32);
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const ConvSizes sizes = TRY(conv_sizes(a.attrs, a.x(0).shape(), a.x(1).shape()));
  std::vector<double> x = a.x(0).to_doubles(), w = a.x(1).to_doubles();
  if (a.has(2))
    for (double& v : x) v -= a.x(2).at(0);
  if (a.has(3))
    for (size_t i = 0, each = w.size() / size_t(a.x(1).dim(0)); i < w.size(); ++i)
      w[i] -= a.x(3).at(a.x(3).size() == 1 ? 0 : int64_t(i / each));
  // Doubles hold these sums exactly.
  const std::vector<double> out = convolve(sizes, x, w);
  for (size_t i = 0; i < out.size(); ++i) y.set_int(int64_t(i), int64_t(out[i]));
  return {};
}

static constexpr DTypeSet kBytes{DType::i8, DType::u8};

extern const Op op_conv_integer{
    .name = "ConvInteger",
    .version = 10,
    .compatible_from = 10,
    .inputs = {{"x", kBytes, 'X'},
               {"w", kBytes, 'W'},
               {"x_zero_point", kBytes, 'X', Param::optional},
               {"w_zero_point", kBytes, 'W', Param::optional}},
    .outputs = {{"y", DType::i32, 'Y'}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"group", int64_t(1)},
              optional_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return conv_flops(a, 1); },
    .fusion = Fusion::out_elementwise_fusable,
    .samples = {{{{{1, 2, 5, 5}, DType::u8, 0, 255}, {{3, 2, 3, 3}, DType::i8, -127, 127}, {{}, DType::u8, 0, 255}},
                 {{"pads", Ints{1, 1, 1, 1}}}},
                {{{{1, 4, 7}, DType::u8, 0, 255},
                  {{2, 2, 3}, DType::u8, 0, 255},
                  {{}, DType::u8, 7, 7},
                  {{2}, DType::u8, 0, 255}},
                 {{"group", int64_t(2)}}}},
};

}  // namespace tenon::ops
