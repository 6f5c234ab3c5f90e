// DeformConv: a convolution whose taps are moved by `offset` for each output position, read with linear interpolation
// and scaled by `mask`.
#include <cmath>

#include "ops/common/conv.h"
#include "ops/common/flops.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t groups = a.attrs.i("offset_group");
  if (groups < 1) return invalid_model("attribute 'offset_group' is ", groups, ", it must be positive");
  if (a.ranked(1) && a.rank(1) > 0) TRY(check_vector(a, 3, a.shape(1)[0]));
  TRY(infer_conv(a, 1, a.dtype(0)));
  if (!a.ranked(0) || !a.ranked(1)) return {};
  const SymShape &y = a.out[0].shape, &x = a.shape(0), &w = a.shape(1);
  if (x[1].is_const() && x[1].constant() % groups)
    return invalid_model(x[1].constant(), " channels do not divide into ", groups, " offset groups");
  const Dim taps = Dim(groups) * product(w, 2);
  SymShape want = {x[0], taps * Dim(int64_t(x.size()) - 2)};
  want.insert(want.end(), y.begin() + 2, y.end());
  for (size_t i : {2, 4}) {
    if (i == 4) want[1] = taps;
    if (!a.ranked(i)) continue;
    bool same = a.shape(i).size() == want.size();
    for (size_t d = 0; same && d < want.size(); ++d)
      same = !want[d].is_const() || !a.shape(i)[d].is_const() || want[d] == a.shape(i)[d];
    if (!same) return invalid_model("input '", a.op.inputs[i].name, "' has shape ", to_string(a.shape(i)), ", ", to_string(want), " is needed");
  }
  return {};
}

// Linear interpolation in `n` dimensions; zero outside.
static double interpolate(const double* x, const int64_t* sizes, const double* at, size_t n, int64_t base) {
  if (n == 0) return x[base];
  if (!(at[0] > -1 && at[0] < double(sizes[0]))) return 0;
  const int64_t low = int64_t(std::floor(at[0]));
  const double part = at[0] - double(low);
  double sum = 0;
  if (low >= 0) sum += (1 - part) * interpolate(x, sizes + 1, at + 1, n - 1, base * sizes[0] + low);
  if (low + 1 < sizes[0] && part > 0) sum += part * interpolate(x, sizes + 1, at + 1, n - 1, base * sizes[0] + low + 1);
  return sum;
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const Shape& shape = a.x(0).shape();
  const ConvSizes s = TRY(conv_sizes(a.attrs, shape, a.x(1).shape()));
  const std::vector<double> x = a.x(0).to_doubles(), w = a.x(1).to_doubles(), offset = a.x(2).to_doubles();
  const std::vector<double> mask = a.has(4) ? a.x(4).to_doubles() : std::vector<double>();
  const size_t dims = s.windows.size();
  const int64_t channels = s.groups * s.in_channels, all_out = s.groups * s.out_channels;
  const int64_t offset_groups = a.attrs.i("offset_group");
  Shape kernel, out;
  for (const Window& win : s.windows) kernel.push_back(win.kernel), out.push_back(win.out);
  const int64_t taps = num_elements(kernel), plane = num_elements(out);
  const int64_t in_plane = num_elements(std::span(shape).subspan(2));
  std::vector<double> sums(size_t(y.size()), 0.0), at(dims);
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t g = n * offset_groups + c / (channels / offset_groups), conv_group = c / s.in_channels;
      Shape k(dims, 0);
      for (int64_t t = 0; t < taps; ++t, next_index(k, kernel)) {
        Shape o(dims, 0);
        for (int64_t p = 0; p < plane; ++p, next_index(o, out)) {
          for (size_t d = 0; d < dims; ++d)
            at[d] = double(s.windows[d].at(o[d], k[d])) + offset[size_t(((g * taps + t) * int64_t(dims) + int64_t(d)) * plane + p)];
          double v = interpolate(x.data() + (n * channels + c) * in_plane, shape.data() + 2, at.data(), dims, 0);
          if (!mask.empty()) v *= mask[size_t((g * taps + t) * plane + p)];
          for (int64_t m = conv_group * s.out_channels; m < (conv_group + 1) * s.out_channels; ++m)
            sums[size_t((n * all_out + m) * plane + p)] += v * w[size_t((m * s.in_channels + c % s.in_channels) * taps + t)];
        }
      }
    }
  if (a.has(3)) add_channel_bias(sums, s.batch, a.x(3).to_doubles());
  store_doubles(y.dtype(), y.data(), 0, y.size(), sums.data());
  return {};
}

extern const Op op_deform_conv{
    .name = "DeformConv",
    .version = 22,
    .compatible_from = 19,
    .inputs = {{"X", kFloats},
               {"W", kFloats},
               {"offset", kFloats},
               {"B", kFloats, 'T', Param::optional},
               {"mask", kFloats, 'T', Param::optional}},
    .attrs = {{"group", int64_t(1)},
              {"offset_group", int64_t(1)},
              optional_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return conv_flops(a, 1); },
    .tolerance = {.f32 = 64},
    .samples = {{{{{1, 2, 5, 4}}, {{3, 2, 2, 2}}, {{1, 8, 4, 3}}, {{3}}, {{1, 4, 4, 3}}}},
                {{{{1, 4, 4, 4}}, {{2, 2, 3, 3}}, {{1, 36, 4, 4}}},
                 {{"group", int64_t(2)}, {"offset_group", int64_t(2)}, {"pads", Ints{1, 1, 1, 1}}}}},
};

}  // namespace tenon::ops
