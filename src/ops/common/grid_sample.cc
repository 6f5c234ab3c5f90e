#include "ops/common/grid_sample.h"

#include <algorithm>
#include <cmath>

#include "ops/common/window.h"

namespace tenon {

namespace {
enum Mode { kNearest, kLinear, kCubic };
enum Padding { kZeros, kBorder, kReflection };

struct Settings {
  Mode mode = kLinear;
  Padding padding = kZeros;
  bool align = false;
};

// Input positions along one dimension and their weights; index -1 reads a zero.
struct Line {
  int taps = 0;
  int64_t index[4];
  double weight[4];
};
}  // namespace

static Result<Settings> settings(const Attrs& attrs) {
  Settings s;
  const std::string &mode = attrs.s("mode"), &padding = attrs.s("padding_mode");
  if (mode == "nearest") s.mode = kNearest;
  else if (mode == "cubic" || mode == "bicubic") s.mode = kCubic;
  else if (mode != "linear" && mode != "bilinear") return invalid_model("attribute 'mode' cannot be '", mode, "'");
  if (padding == "border") s.padding = kBorder;
  else if (padding == "reflection") s.padding = kReflection;
  else if (padding != "zeros") return invalid_model("attribute 'padding_mode' cannot be '", padding, "'");
  s.align = attrs.i("align_corners") != 0;
  return s;
}

Status infer_grid_sample(InferArgs& a) {
  TRY(settings(a.attrs));
  if (!a.ranked(0) && !a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  const size_t rank = size_t(a.ranked(0) ? a.rank(0) : a.rank(1));
  if (rank < 3) return invalid_model("needs an input of rank 3 or more, not ", rank);
  SymShape y;
  for (size_t d = 0; d < 2; ++d) y.push_back(a.ranked(0) ? a.shape(0)[d] : a.fresh("sampled"));
  if (a.ranked(1)) {
    const SymShape& grid = a.shape(1);
    if (grid.size() != rank) return invalid_model("a grid of rank ", grid.size(), " for an input of rank ", rank);
    if (grid.back().is_const() && !grid.back().is(int64_t(rank) - 2))
      return invalid_model("a grid of shape ", to_string(grid), " must end in ", rank - 2);
    if (grid[0].is_const() && y[0].is_const() && !(grid[0] == y[0]))
      return invalid_model("a grid of shape ", to_string(grid), " for a batch of ", y[0].to_string());
    y.insert(y.end(), grid.begin() + 1, grid.end() - 1);
  } else {
    for (size_t d = 2; d < rank; ++d) y.push_back(a.fresh("sampled"));
  }
  a.set(0, a.dtype(0), y);
  return {};
}

// Folds x back into [low, high] as between two mirrors.
static double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  double r = std::fmod(std::abs(x - low), 2 * range);
  return low + (r > range ? 2 * range - r : r);
}

static int64_t place(const Settings& s, double i, int64_t size) {
  if (s.padding == kZeros) return i >= 0 && i < double(size) ? int64_t(i) : -1;
  if (s.padding == kReflection) i = s.align ? reflect(i, 0, double(size - 1)) : reflect(i, -0.5, double(size) - 0.5);
  return int64_t(std::clamp(i, 0.0, double(size - 1)));
}

static Line line(const Settings& s, double g, int64_t size) {
  Line l;
  double x = s.align ? (g + 1) / 2 * double(size - 1) : ((g + 1) * double(size) - 1) / 2;
  if (!(std::abs(x) < 1e15)) x = s.padding == kZeros ? -1e15 : 0;  // NaN and infinity lie outside of every image
  double start, w[4];
  if (s.mode == kNearest) {
    start = std::nearbyint(x), w[0] = 1, l.taps = 1;
  } else if (s.mode == kLinear) {
    start = std::floor(x), w[1] = x - start, w[0] = 1 - w[1], l.taps = 2;
  } else {
    constexpr double a = -0.75;
    start = std::floor(x) - 1, l.taps = 4;
    for (int k = 0; k < 4; ++k) {
      const double d = std::abs(x - start - k);
      w[k] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
  }
  for (int k = 0; k < l.taps; ++k) l.weight[k] = w[k], l.index[k] = place(s, start + k, size);
  return l;
}

// Sum over the taps of all dimensions.
static double sample(const double* x, std::span<const Line> lines, const int64_t* sizes, int64_t base) {
  const Line& l = lines[0];
  double sum = 0;
  for (int k = 0; k < l.taps; ++k) {
    if (l.index[k] < 0 || l.weight[k] == 0) continue;
    const int64_t at = base * sizes[0] + l.index[k];
    sum += l.weight[k] * (lines.size() == 1 ? x[at] : sample(x, lines.subspan(1), sizes + 1, at));
  }
  return sum;
}

Status reference_grid_sample(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  const Settings s = TRY(settings(a.attrs));
  const size_t spatial = size_t(x.rank()) - 2;
  const int64_t batch = x.dim(0), channels = x.dim(1), plane = x.size() / (batch * channels);
  if (plane == 0) return invalid_argument("the input has no pixels");
  const std::vector<double> in = x.to_doubles(), grid = a.x(1).to_doubles();
  const int64_t points = y.size() / (batch * channels);
  std::vector<Line> lines(spatial);
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t p = 0; p < points; ++p) {
      // The grid names the last dimension first: x, y, z.
      for (size_t d = 0; d < spatial; ++d)
        lines[d] = line(s, grid[size_t(n * points + p) * spatial + (spatial - 1 - d)], x.dim(int64_t(d) + 2));
      for (int64_t c = 0; c < channels; ++c)
        y.set((n * channels + c) * points + p,
              sample(in.data() + (n * channels + c) * plane, lines, x.shape().data() + 2, 0));
    }
  return {};
}

}  // namespace tenon
