// ConvTranspose: the gradient of Conv with respect to its input; y[n, m, i*stride - pad + k*dilation] += x[n, c, i] *
// w[c, m, k], plus a bias for each channel.
#include "ops/common/conv.h"
#include "ops/common/flops.h"

namespace tenon::ops {

struct Extras {
  Ints padding, shape;  // output_padding; output_shape, or empty
};

static Result<Extras> extras(const Attrs& attrs, size_t spatial) {
  Extras e{attrs.ints("output_padding"), attrs.ints("output_shape")};
  if (e.padding.empty()) e.padding.assign(spatial, 0);
  if (e.padding.size() != spatial || *std::min_element(e.padding.begin(), e.padding.end()) < 0 ||
      *std::max_element(e.padding.begin(), e.padding.end()) > INT32_MAX)
    return invalid_model("attribute 'output_padding' is ", e.padding, ", ", spatial, " sizes are needed");
  if (e.shape.size() == spatial + 2) e.shape.erase(e.shape.begin(), e.shape.begin() + 2);  // some give N and C too
  if (!e.shape.empty() && (e.shape.size() != spatial || *std::min_element(e.shape.begin(), e.shape.end()) < 0))
    return invalid_model("attribute 'output_shape' is ", e.shape, ", ", spatial, " sizes are needed");
  return e;
}

// The output's size before padding is cut off.
static Dim full_size(const WindowSpec& s, const Extras& e, size_t d, const Dim& in) {
  return Dim(s.strides[d]) * (in - Dim(1)) + Dim(e.padding[d]) + s.extent(d);
}

static bool same(const WindowSpec& s) {
  return s.auto_pad == WindowSpec::same_upper || s.auto_pad == WindowSpec::same_lower;
}

static Dim out_size(const WindowSpec& s, const Extras& e, size_t d, const Dim& in) {
  if (!e.shape.empty()) return Dim(e.shape[d]);
  if (same(s)) return in * Dim(s.strides[d]);
  return full_size(s, e, d, in) - Dim(s.pads[d]) - Dim(s.pads[s.rank() + d]);
}

static Status infer(InferArgs& a) {
  const bool last = a.attrs.i("channels_last") != 0;
  const int64_t group = a.attrs.i("group", 1);
  if (group < 1) return invalid_model("attribute 'group' is ", group, ", it must be positive");
  if (!a.ranked(0) && !a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  const size_t rank = size_t(a.ranked(0) ? a.rank(0) : a.rank(1));
  if (rank < 3) return invalid_model("needs an input of rank 3 or more, not ", rank);
  if (!a.ranked(0)) return a.set_fresh(0, a.dtype(0), rank, "conv"), Status();
  const SymShape x = channels_first(a.shape(0), last);
  SymShape kernel = to_sym(a.attrs.ints("kernel_shape")), y = {x[0], a.fresh("channels")};
  if (a.ranked(1)) {
    const SymShape& w = a.shape(1);
    if (w.size() != rank) return invalid_model("the weights ", to_string(w), " do not have the input's rank ", rank);
    const SymShape stored(w.begin() + 2, w.end());
    if (kernel.empty()) kernel = stored;
    if (kernel.size() != stored.size() || (to_concrete(stored) && !(kernel == stored)))
      return invalid_model("attribute 'kernel_shape' is ", to_string(kernel), ", the weights have ", to_string(stored));
    if (x[1].is_const() && w[0].is_const() && !(x[1] == w[0]))
      return invalid_model("the input has ", x[1].to_string(), " channels, the weights ", to_string(w));
    if (w[0].is_const() && w[0].constant() % group)
      return invalid_model(w[0].to_string(), " channels do not divide into ", group, " groups");
    y[1] = w[1] * Dim(group);
    TRY(check_vector(a, 2, y[1]));
  }
  if (kernel.empty()) {
    for (size_t d = 2; d < rank; ++d) y.push_back(a.fresh("conv"));
  } else {
    if (kernel.size() != rank - 2)
      return invalid_model("attribute 'kernel_shape' is ", to_string(kernel), ", ", rank - 2, " values are needed");
    const WindowSpec spec = TRY(window_spec(a.attrs, kernel));
    const Extras extra = TRY(extras(a.attrs, rank - 2));
    for (size_t d = 2; d < rank; ++d) {
      y.push_back(out_size(spec, extra, d - 2, x[d]));
      if (y.back().is_const() && y.back().constant() < 0)
        return invalid_model("the pads leave nothing of spatial dimension ", d - 2);
    }
  }
  a.set(0, a.dtype(0), channels_last(y, last));
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const bool last = a.attrs.i("channels_last") != 0;
  const ConvSizes sizes = TRY(conv_transpose_sizes(a.attrs, channels_first(a.x(0).shape(), last), a.x(1).shape(), channels_first(y.shape(), last)));
  std::vector<double> sums = convolve_transposed(sizes, read_channels_first(a.x(0), last), a.x(1).to_doubles());
  if (a.has(2)) add_channel_bias(sums, sizes.batch, a.x(2).to_doubles());
  write_channels_first(y, sums, last);
  return {};
}

extern const Op op_conv_transpose{
    .name = "ConvTranspose",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}, {"W", kFloats}, {"B", kFloats, 'T', Param::optional}},
    .attrs = {{"auto_pad", "NOTSET"},
              {"group", int64_t(1)},
              optional_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("dilations", AttrKind::ints),
              optional_attr("pads", AttrKind::ints),
              optional_attr("output_padding", AttrKind::ints),
              optional_attr("output_shape", AttrKind::ints),
              {"channels_last", int64_t(0)},  // not ONNX's: the layout pass sets it; x and y are [N, spatial..., C]
              {"exact", int64_t(0)}},         // not ONNX's: lower_precision sets it where float32 factors must not be rounded to tf32
    .infer = infer,
    .reference = reference,
    .flops = conv_transpose_flops,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32, .f16 = 4},
    .samples = {{{{{1, 3, 5, 4}}, {{3, 2, 3, 3}}, {{2}}}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}},
                {{{{2, 4, 5}}, {{4, 3, 2}}}, {{"group", int64_t(2)}, {"output_padding", Ints{1}}, {"strides", Ints{2}}}},
                {{{{1, 4, 5, 2}}, {{2, 3, 3, 2}}},
                 {{"auto_pad", "SAME_LOWER"}, {"strides", Ints{2, 2}}, {"channels_last", int64_t(1)}}},
                // A kernel larger than the padded input, and padding that follows from the output's size.
                {{{{1, 1, 1, 2}}, {{2, 2, 4, 4}}}, {{"pads", Ints{1, 1, 1, 1}}, {"channels_last", int64_t(1)}}},
                {{{{1, 3, 5, 2}}, {{2, 3, 3, 3}}},
                 {{"output_shape", Ints{5, 10}}, {"strides", Ints{2, 2}}, {"channels_last", int64_t(1)}}}},
};

}  // namespace tenon::ops

namespace tenon {

Result<ConvSizes> conv_transpose_sizes(const Attrs& attrs, const Shape& x, const Shape& w, const Shape& y) {
  const WindowSpec spec = TRY(window_spec(attrs, SymShape(w.begin() + 2, w.end())));
  const ops::Extras extra = TRY(ops::extras(attrs, spec.rank()));
  ConvSizes sizes;
  sizes.batch = x[0];
  sizes.groups = attrs.i("group", 1);
  sizes.in_channels = x[1] / sizes.groups;
  sizes.out_channels = w[1];
  for (size_t d = 0; d < spec.rank(); ++d) {
    // The window slides over y; x holds its positions.
    Window win{w[d + 2], spec.strides[d], spec.dilations[d], spec.pads[d], 0, y[d + 2], x[d + 2]};
    if (ops::same(spec) || !extra.shape.empty()) {
      const int64_t total = std::max<int64_t>(0, ops::full_size(spec, extra, d, Dim(x[d + 2])).constant() - y[d + 2]);
      win.pad_begin = spec.auto_pad == WindowSpec::same_upper ? total / 2 : total - total / 2;
    }
    sizes.windows.push_back(win);
  }
  return sizes;
}

}  // namespace tenon
