#include "ops/common/conv.h"

namespace tenon {

static Result<SymShape> kernel_dims(const InferArgs& a, size_t weights, size_t spatial) {
  const Ints& attr = a.attrs.ints("kernel_shape");
  if (!attr.empty() && attr.size() != spatial)
    return invalid_model("attribute 'kernel_shape' is ", attr, ", ", spatial, " values are needed");
  if (!a.ranked(weights)) return attr.empty() ? SymShape() : to_sym(attr);
  SymShape kernel(a.shape(weights).begin() + 2, a.shape(weights).end());
  for (size_t d = 0; d < attr.size(); ++d) {
    if (kernel[d].is_const() && !kernel[d].is(attr[d]))
      return invalid_model("attribute 'kernel_shape' is ", attr, ", the weights have ", to_string(kernel));
    kernel[d] = Dim(attr[d]);
  }
  return kernel;
}

Status infer_conv(InferArgs& a, size_t weights, DType out_type) {
  const bool last = a.attrs.i("channels_last") != 0;
  const int64_t group = a.attrs.i("group", 1);
  if (group < 1) return invalid_model("attribute 'group' is ", group, ", it must be positive");
  if (!a.ranked(0) && !a.ranked(weights)) return a.set_unranked(0, out_type), Status();
  const size_t rank = size_t(a.ranked(0) ? a.rank(0) : a.rank(weights));
  if (rank < 3) return invalid_model("needs an input of rank 3 or more, not ", rank);
  if (a.ranked(weights) && a.shape(weights).size() != rank)
    return invalid_model("the weights ", to_string(a.shape(weights)), " do not have the input's rank ", rank);
  if (!a.ranked(0)) return a.set_fresh(0, out_type, rank, "conv"), Status();

  const SymShape x = channels_first(a.shape(0), last);
  const SymShape kernel = TRY(kernel_dims(a, weights, rank - 2));
  SymShape y = {x[0], a.fresh("channels")};
  if (a.ranked(weights)) {
    const SymShape& w = a.shape(weights);
    const Dim channels = w[1] * Dim(group);
    if (channels.is_const() && x[1].is_const() && !(channels == x[1]))
      return invalid_model("the input has ", x[1].to_string(), " channels, weights ", to_string(w), " with ", group,
                           " groups need ", channels.to_string());
    if (w[0].is_const() && w[0].constant() % group)
      return invalid_model(w[0].to_string(), " output channels do not divide into ", group, " groups");
    y[1] = w[0];
  }
  if (kernel.empty()) {
    for (size_t d = 2; d < rank; ++d) y.push_back(a.fresh("conv"));
  } else {
    const WindowSpec spec = TRY(window_spec(a.attrs, kernel));
    for (size_t d = 2; d < rank; ++d) y.push_back(TRY(window_output(spec, d - 2, x[d])));
  }
  a.set(0, out_type, channels_last(y, last));
  return {};
}

Result<ConvSizes> conv_sizes(const Attrs& attrs, const Shape& x, const Shape& w) {
  ConvSizes s;
  s.groups = attrs.i("group", 1);
  s.batch = x[0];
  s.in_channels = w[1];
  s.out_channels = w[0] / s.groups;
  const WindowSpec spec = TRY(window_spec(attrs, SymShape(w.begin() + 2, w.end())));
  s.windows = resolve_windows(spec, std::span(x).subspan(2));
  return s;
}

namespace {
// Which rows of the slid-over side meet which rows of the other, for each kernel position but the innermost; the
// innermost dimension is the row. Made once, so that the sums run without a check.
struct Rows {
  struct Pair {
    int64_t in, out;  // offsets of the rows' first elements
  };
  std::vector<std::vector<Pair>> pairs;  // one list for each outer kernel position
  int64_t kernel_row = 1, in_plane = 1, out_plane = 1;
  std::vector<std::pair<int64_t, int64_t>> range;  // for each inner tap, the outputs it serves

  explicit Rows(const std::vector<Window>& windows) {
    const Window& inner = windows.back();
    kernel_row = inner.kernel;
    for (const Window& w : windows) in_plane *= w.in, out_plane *= w.out;
    for (int64_t k = 0; k < inner.kernel; ++k) range.push_back(inner.outputs(k));
    Shape kernel, out;
    for (size_t d = 0; d + 1 < windows.size(); ++d) kernel.push_back(windows[d].kernel), out.push_back(windows[d].out);
    Shape k(kernel.size(), 0);
    do {
      std::vector<Pair> list;
      Shape o(out.size(), 0);
      if (out_plane > 0) do {
        int64_t in_row = 0, out_row = 0;
        bool inside = true;
        for (size_t d = 0; d < o.size(); ++d) {
          const int64_t at = windows[d].at(o[d], k[d]);
          inside = inside && at >= 0 && at < windows[d].in;
          in_row = in_row * windows[d].in + at;
          out_row = out_row * windows[d].out + o[d];
        }
        if (inside) list.push_back({in_row * inner.in, out_row * inner.out});
      } while (next_index(o, out));
      pairs.push_back(std::move(list));
    } while (next_index(k, kernel));
  }
};
}  // namespace

std::vector<double> convolve(const ConvSizes& s, const std::vector<double>& x, const std::vector<double>& w) {
  const Window& inner = s.windows.back();
  const int64_t all_out = s.groups * s.out_channels, all_in = s.groups * s.in_channels;
  int64_t elements = s.batch * all_out;
  for (const Window& d : s.windows) elements *= d.out;
  std::vector<double> y(size_t(elements), 0.0);
  if (x.empty() || w.empty()) return y;
  const Rows rows(s.windows);
  const int64_t kernel = int64_t(rows.pairs.size()) * rows.kernel_row;
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t m = 0; m < all_out; ++m)
      for (int64_t c = 0; c < s.in_channels; ++c) {
        const int64_t channel = m / s.out_channels * s.in_channels + c;
        const double* in = x.data() + (n * all_in + channel) * rows.in_plane;
        double* out = y.data() + (n * all_out + m) * rows.out_plane;
        const double* weight = w.data() + (m * s.in_channels + c) * kernel;
        for (const auto& list : rows.pairs) {
          for (const Rows::Pair& row : list)
            for (int64_t k = 0; k < rows.kernel_row; ++k) {
              const auto [low, high] = rows.range[size_t(k)];
              const int64_t start = row.in + inner.at(0, k), stride = inner.stride;
              const double v = weight[k];
              double* to = out + row.out;
              if (stride == 1) {
                for (int64_t o = low; o < high; ++o) to[o] += v * in[start + o];
              } else {
                for (int64_t o = low; o < high; ++o) to[o] += v * in[start + o * stride];
              }
            }
          weight += rows.kernel_row;
        }
      }
  return y;
}

std::vector<double> convolve_transposed(const ConvSizes& s, const std::vector<double>& x, const std::vector<double>& w) {
  const Window& inner = s.windows.back();
  const int64_t all_out = s.groups * s.out_channels, all_in = s.groups * s.in_channels;
  int64_t elements = s.batch * all_out;
  for (const Window& d : s.windows) elements *= d.in;
  std::vector<double> y(size_t(elements), 0.0);
  if (x.empty() || w.empty()) return y;
  const Rows rows(s.windows);
  const int64_t kernel = int64_t(rows.pairs.size()) * rows.kernel_row;
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t c = 0; c < all_in; ++c)
      for (int64_t m = 0; m < s.out_channels; ++m) {
        const int64_t channel = c / s.in_channels * s.out_channels + m;
        const double* in = x.data() + (n * all_in + c) * rows.out_plane;
        double* out = y.data() + (n * all_out + channel) * rows.in_plane;
        const double* weight = w.data() + (c * s.out_channels + m) * kernel;
        for (const auto& list : rows.pairs) {
          for (const Rows::Pair& row : list)
            for (int64_t k = 0; k < rows.kernel_row; ++k) {
              const auto [low, high] = rows.range[size_t(k)];
              const int64_t start = row.in + inner.at(0, k);
              for (int64_t o = low; o < high; ++o) out[start + o * inner.stride] += weight[k] * in[row.out + o];
            }
          weight += rows.kernel_row;
        }
      }
  return y;
}

void add_channel_bias(std::vector<double>& y, int64_t batch, const std::vector<double>& bias) {
  if (y.empty()) return;
  const size_t plane = y.size() / (size_t(batch) * bias.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] += bias[i / plane % bias.size()];
}

}  // namespace tenon
