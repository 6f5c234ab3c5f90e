#include "ops/common/resize.h"

#include <algorithm>
#include <cmath>

namespace tenon {

// The place of `name` among the words of an enumeration.
static Result<int> word(const Attrs& attrs, const char* attr, std::initializer_list<const char*> words) {
  const std::string& given = attrs.s(attr);
  int i = 0;
  for (const char* w : words) {
    if (given == w) return i;
    ++i;
  }
  return invalid_model("attribute '", attr, "' cannot be '", given, "'");
}

Result<ResizeMode> resize_mode(const Attrs& attrs) {
  ResizeMode m;
  m.kind = ResizeMode::Kind(TRY(word(attrs, "mode", {"nearest", "linear", "cubic"})));
  m.coords = ResizeMode::Coords(TRY(word(attrs, "coordinate_transformation_mode",
                                         {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                          "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"})));
  m.round = ResizeMode::Round(TRY(word(attrs, "nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})));
  m.aspect = ResizeMode::Aspect(TRY(word(attrs, "keep_aspect_ratio_policy", {"stretch", "not_larger", "not_smaller"})));
  m.antialias = attrs.i("antialias") != 0;
  m.exclude_outside = attrs.i("exclude_outside") != 0;
  m.cubic_a = attrs.f("cubic_coeff_a");
  m.extrapolation = attrs.f("extrapolation_value");
  if (m.antialias && m.kind == ResizeMode::nearest) return invalid_model("mode 'nearest' has no antialias");
  return m;
}

Result<std::vector<size_t>> resize_axes(const Attrs& attrs, size_t rank) {
  std::vector<size_t> axes;
  if (!attrs.has("axes")) {
    for (size_t d = 0; d < rank; ++d) axes.push_back(d);
    return axes;
  }
  for (int64_t axis : attrs.ints("axes")) {
    if (axis < -int64_t(rank) || axis >= int64_t(rank)) return invalid_model("axis ", axis, " is out of range for rank ", rank);
    const size_t d = size_t(axis < 0 ? axis + int64_t(rank) : axis);
    if (std::find(axes.begin(), axes.end(), d) != axes.end()) return invalid_model("axis ", axis, " is given twice");
    axes.push_back(d);
  }
  return axes;
}

static constexpr double kMaxSize = 1e15;

std::optional<Dim> scaled_dim(const Dim& in, float scale) {
  if (in.is_const()) {
    const float size = std::floor(float(in.constant()) * scale);
    return size >= 0 && size < kMaxSize ? std::optional(Dim(int64_t(size))) : std::nullopt;
  }
  // 2, 0.5, 1.25: exact in float for every size that matters.
  for (int64_t divisor = 1; divisor <= 256; divisor *= 2) {
    const float times = scale * float(divisor);
    if (times == std::floor(times) && times >= 1 && times <= 256) return floor_div(in * Dim(int64_t(times)), Dim(divisor));
  }
  return std::nullopt;
}

Result<std::vector<ResizeAxis>> resize_plan(const Attrs& attrs, const ResizeMode& mode, const Shape& x,
                                            const std::vector<double>& roi, const std::vector<double>& scales,
                                            const Ints& sizes) {
  const std::vector<size_t> axes = TRY(resize_axes(attrs, x.size()));
  const size_t n = axes.size();
  if (scales.empty() == sizes.empty() && n > 0) return invalid_model("needs either scales or sizes");
  if (n > 0 && scales.size() + sizes.size() != n)
    return invalid_model("has ", scales.size() + sizes.size(), " scales or sizes for ", n, " axes");
  std::vector<ResizeAxis> plan(x.size());
  for (size_t d = 0; d < x.size(); ++d) plan[d] = {x[d], x[d], 1, 0, 1};
  if (mode.coords == ResizeMode::tf_crop) {
    if (roi.size() != 2 * n) return invalid_model("input 'roi' has ", roi.size(), " values, ", 2 * n, " are needed");
    for (size_t i = 0; i < n; ++i) {
      plan[axes[i]].roi_start = roi[i], plan[axes[i]].roi_end = roi[n + i];
      if (!(std::abs(roi[i]) < 1e9 && std::abs(roi[n + i]) < 1e9)) return invalid_model("input 'roi' is out of proportion");
    }
  }
  double common = 0;
  for (size_t i = 0; i < n; ++i) {
    ResizeAxis& p = plan[axes[i]];
    if (!scales.empty()) {
      if (!(scales[i] > 0 && scales[i] < 1e9)) return invalid_model("scale ", scales[i], " must be positive");
      auto size = scaled_dim(Dim(p.in), float(scales[i]));
      if (!size) return invalid_model("scale ", scales[i], " of size ", p.in, " gives too much");
      p.scale = scales[i];
      p.out = size->constant();
    } else {
      if (sizes[i] < 0 || (p.in == 0 && sizes[i] > 0)) return invalid_model("size ", p.in, " cannot be resized to ", sizes[i]);
      p.out = sizes[i];
      p.scale = p.in ? double(p.out) / double(p.in) : 1;
      const bool better = mode.aspect == ResizeMode::not_larger ? p.scale < common : p.scale > common;
      if (i == 0 || better) common = p.scale;
    }
  }
  if (!sizes.empty() && mode.aspect != ResizeMode::stretch)
    for (size_t axis : axes) {
      const double size = std::floor(common * double(plan[axis].in) + 0.5);
      if (!(size < kMaxSize)) return invalid_model("sizes ", sizes, " of shape ", x, " give too much");
      plan[axis].scale = common;
      plan[axis].out = int64_t(size);
    }
  return plan;
}

// The place in the input of output `o`; T is the type that everybody computes it in.
template <class T>
static T source(const ResizeMode& mode, const ResizeAxis& a, int64_t o) {
  const T x = T(o), scale = T(a.scale), last = T(a.in - 1), width = scale * T(a.in);
  switch (mode.coords) {
    case ResizeMode::half_pixel: return (x + T(0.5)) / scale - T(0.5);
    case ResizeMode::half_pixel_symmetric:
      return T(a.in) / 2 * (1 - T(a.out) / width) + (x + T(0.5)) / scale - T(0.5);
    case ResizeMode::pytorch_half_pixel: return a.out > 1 ? (x + T(0.5)) / scale - T(0.5) : T(0);
    case ResizeMode::align_corners: return o == 0 || width == 1 ? T(0) : x * last / (width - 1);
    case ResizeMode::asymmetric: return x / scale;
    case ResizeMode::tf_half_pixel_for_nn: return (x + T(0.5)) / scale;
    case ResizeMode::tf_crop:
      if (a.out <= 1) return (T(a.roi_start) + T(a.roi_end)) * last / 2;
      return T(a.roi_start) * last + x * (T(a.roi_end) - T(a.roi_start)) * last / T(a.out - 1);
  }
  return 0;
}

static double filter(const ResizeMode& mode, double x) {
  x = std::abs(x);
  const double a = mode.cubic_a;
  if (mode.kind == ResizeMode::linear) return std::max(0.0, 1 - x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

static int64_t nearest(ResizeMode::Round round, double x, int64_t in) {
  switch (round) {
    case ResizeMode::prefer_floor: x = std::ceil(x - 0.5); break;
    case ResizeMode::prefer_ceil: x = std::floor(x + 0.5); break;
    case ResizeMode::floor: x = std::floor(x); break;
    case ResizeMode::ceil: x = std::ceil(x); break;
  }
  return int64_t(std::clamp(x, 0.0, double(in - 1)));
}

std::vector<Taps> resize_table(const ResizeMode& mode, const ResizeAxis& axis) {
  std::vector<Taps> table(static_cast<size_t>(axis.out));
  // An antialiasing filter is stretched when it samples down.
  const double stretch = mode.antialias ? std::min(axis.scale, 1.0) : 1;
  const double support = (mode.kind == ResizeMode::cubic ? 2 : 1) / stretch;
  for (int64_t o = 0; o < axis.out; ++o) {
    Taps& taps = table[size_t(o)];
    // Nearest decides in float, where a scale such as 0.3f stands for 3/10: 3 / 0.3f is 10 there, and not below it.
    const double x = mode.kind == ResizeMode::nearest ? double(source<float>(mode, axis, o)) : source<double>(mode, axis, o);
    if (mode.coords == ResizeMode::tf_crop && !(x >= 0 && x <= double(axis.in - 1))) continue;
    if (mode.kind == ResizeMode::nearest) {
      taps.push_back({nearest(mode.round, x, axis.in), 1});
      continue;
    }
    double all = 0, inside = 0;
    for (double i = std::ceil(x - support); i <= x + support; ++i) {
      const double weight = filter(mode, (i - x) * stretch);
      const bool outside = i < 0 || i >= double(axis.in);
      all += weight;
      if (outside && mode.exclude_outside) continue;
      inside += weight;
      const int64_t at = int64_t(std::clamp(i, 0.0, double(axis.in - 1)));  // the edge goes on for ever
      if (!taps.empty() && taps.back().index == at) taps.back().weight += weight;
      else taps.push_back({at, weight});
    }
    const double sum = mode.exclude_outside ? inside : mode.antialias ? all : 1;
    if (sum != 0)
      for (Tap& t : taps) t.weight /= sum;
    if (taps.empty()) taps.push_back({0, 0});
  }
  return table;
}

}  // namespace tenon
