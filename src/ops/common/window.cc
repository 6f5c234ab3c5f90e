#include "ops/common/window.h"

namespace tenon {

static constexpr int64_t kLimit = (int64_t(1) << 31) - 1;

static int64_t ceil_of(int64_t a, int64_t b) { return a / b + (a % b > 0); }  // REQUIRES: b > 0

std::pair<int64_t, int64_t> Window::taps(int64_t o, int64_t low, int64_t high) const {
  const int64_t start = at(o, 0);
  const int64_t first = start >= low ? 0 : ceil_of(low - start, dilation);
  const int64_t end = start >= high ? 0 : std::min(kernel, ceil_of(high - start, dilation));
  return {std::min(first, end), end};
}

std::pair<int64_t, int64_t> Window::outputs(int64_t k) const {
  const int64_t start = at(0, k);
  const int64_t first = start >= 0 ? 0 : ceil_of(-start, stride);
  const int64_t end = start >= in ? 0 : std::min(out, ceil_of(in - start, stride));
  return {std::min(first, end), end};
}

static Result<Ints> spatial_ints(const Attrs& attrs, const char* name, size_t count, int64_t fallback, int64_t least) {
  Ints v = attrs.ints(name);
  if (v.empty()) v.assign(count, fallback);
  if (v.size() != count)
    return invalid_model("attribute '", name, "' has ", v.size(), " values, ", count, " are needed");
  for (int64_t x : v)
    if (x < least || x > kLimit)
      return invalid_model("attribute '", name, "' is ", v, "; each value must be from ", least, " to ", kLimit);
  return v;
}

Result<WindowSpec> window_spec(const Attrs& attrs, SymShape kernel) {
  WindowSpec s;
  const size_t rank = kernel.size();
  if (rank == 0) return invalid_model("needs an input with at least one spatial dimension");
  for (const Dim& k : kernel)
    if (k.is_const() && (k.constant() < 1 || k.constant() > kLimit))
      return invalid_model("kernel shape ", to_string(kernel), " must be positive");
  s.kernel = std::move(kernel);
  s.strides = TRY(spatial_ints(attrs, "strides", rank, 1, 1));
  s.dilations = TRY(spatial_ints(attrs, "dilations", rank, 1, 1));
  s.pads = TRY(spatial_ints(attrs, "pads", 2 * rank, 0, 0));
  s.ceil_mode = attrs.i("ceil_mode") != 0;
  const std::string& pad = attrs.s("auto_pad");
  if (pad == "SAME_UPPER") s.auto_pad = WindowSpec::same_upper;
  else if (pad == "SAME_LOWER") s.auto_pad = WindowSpec::same_lower;
  else if (pad == "VALID") s.auto_pad = WindowSpec::valid;
  else if (!pad.empty() && pad != "NOTSET") return invalid_model("attribute 'auto_pad' cannot be '", pad, "'");
  if (s.auto_pad != WindowSpec::notset) s.pads.assign(2 * rank, 0);
  return s;
}

Result<Dim> window_output(const WindowSpec& s, size_t d, const Dim& in) {
  const int64_t stride = s.strides[d];
  if (s.auto_pad == WindowSpec::same_upper || s.auto_pad == WindowSpec::same_lower) return ceil_div(in, stride);
  const Dim begin = s.pads[d], padded = in + begin + s.pads[s.rank() + d];
  const Dim room = padded - s.extent(d);
  Dim out = floor_div(room, stride) + Dim(1);
  if (s.ceil_mode && s.auto_pad == WindowSpec::notset && stride > 1) {
    // A last, partial window counts too, unless it would start in the padding behind the input.
    out = min(ceil_div(room, stride) + Dim(1), ceil_div(in + begin, stride));
  }
  if (out.is_const() && out.constant() < 1)
    return invalid_model("a window of ", s.extent(d).to_string(), " does not fit into spatial dimension ", d,
                         " of size ", in.to_string(), padded == in ? "" : cat(", padded to ", padded.to_string()));
  return out;
}

std::vector<Window> resolve_windows(const WindowSpec& s, std::span<const int64_t> in) {
  std::vector<Window> out;
  for (size_t d = 0; d < s.rank(); ++d) {
    Window w{s.kernel[d].constant(), s.strides[d], s.dilations[d], s.pads[d], s.pads[s.rank() + d], in[d], 0};
    auto size = window_output(s, d, Dim(in[d]));
    CHECK(size.ok());
    w.out = size->constant();
    if (s.auto_pad == WindowSpec::same_upper || s.auto_pad == WindowSpec::same_lower) {
      const int64_t total = std::max<int64_t>(0, (w.out - 1) * w.stride + s.extent(d).constant() - w.in);
      w.pad_begin = s.auto_pad == WindowSpec::same_upper ? total / 2 : total - total / 2;
      w.pad_end = total - w.pad_begin;
    }
    out.push_back(w);
  }
  return out;
}

bool next_index(Shape& index, std::span<const int64_t> shape) {
  for (size_t d = shape.size(); d-- > 0;) {
    if (++index[d] < shape[d]) return true;
    index[d] = 0;
  }
  return false;
}

// Swaps the two inner axes of [n, rows, columns].
static std::vector<double> transpose(const std::vector<double>& x, int64_t n, int64_t rows, int64_t columns) {
  std::vector<double> y(x.size());
  for (int64_t b = 0; b < n; ++b)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        y[size_t((b * columns + c) * rows + r)] = x[size_t((b * rows + r) * columns + c)];
  return y;
}

std::vector<double> read_channels_first(const Tensor& x, bool last) {
  if (!last || x.rank() < 3 || x.size() == 0) return x.to_doubles();
  const int64_t n = x.dim(0), c = x.shape().back();
  return transpose(x.to_doubles(), n, x.size() / n / c, c);
}

void write_channels_first(Tensor& y, const std::vector<double>& values, bool last) {
  if (!last || y.rank() < 3 || y.size() == 0) return store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  const int64_t n = y.dim(0), c = y.shape().back();
  const std::vector<double> turned = transpose(values, n, c, y.size() / n / c);
  store_doubles(y.dtype(), y.data(), 0, y.size(), turned.data());
}

Status check_vector(const InferArgs& a, size_t input, const Dim& n) {
  if (!a.ranked(input)) return {};
  const SymShape& s = a.shape(input);
  if (s.size() == 1 && (!s[0].is_const() || !n.is_const() || s[0] == n)) return {};
  return invalid_model("input '", a.op.inputs[input].name, "' has shape ", to_string(s), ", [", n.to_string(),
                       "] is needed");
}

}  // namespace tenon
