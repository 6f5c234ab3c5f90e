// Resize: each output element is a weighted sum of the input's elements around the place that it maps to.
#include "ops/common/resize.h"

#include <cmath>
#include <cstring>

#include "ops/common/window.h"

namespace tenon::ops {

// Opset 10 knew no coordinate modes: x / scale, cut off when sampling up, rounded up when sampling down.
static Status upgrade_10(Upgrade& u) {
  if (u.node.inputs.size() != 2) return invalid_model("has ", u.node.inputs.size(), " inputs, 2 are needed");
  const std::string scales = u.node.inputs[1];
  u.node.inputs = {u.node.inputs[0], "", scales};
  u.node.attrs.set("coordinate_transformation_mode", "asymmetric");
  u.node.attrs.set("nearest_mode", "floor");
  const AttrValue* mode = u.node.attrs.find("mode");
  if (mode && u.node.attrs.s("mode") != "nearest") return {};
  const ValueInfo known = u.info(scales);
  if (!known.constant) return {};
  std::vector<double> up = known.constant.to_doubles(), down = up;
  for (double& s : up) s = std::max(s, 1.0);
  for (double& s : down) s = std::min(s, 1.0);
  const Tensor down_scales = Tensor::of_floats(down);
  if (down == std::vector<double>(down.size(), 1.0)) return {};
  if (up == std::vector<double>(up.size(), 1.0)) {
    u.node.attrs.set("nearest_mode", "ceil");
    return {};
  }
  // Up in some dimensions, down in others: one after the other.
  u.node.inputs[2] = u.constant(Tensor::of_floats(up));
  std::string larger = u.fresh_name("larger"), shrink = u.constant(down_scales);
  NodeDef second{"", "Resize", u.node.name, {larger, "", shrink}, u.node.outputs, u.node.attrs};
  second.attrs.set("nearest_mode", "ceil");
  u.node.outputs = {larger};
  u.after.push_back(std::move(second));
  return {};
}

// Empty scales and sizes are the older way to leave them out.
static bool given(const InferArgs& a, size_t i) {
  return a.has(i) && !(a.ranked(i) && a.rank(i) == 1 && a.shape(i)[0].is(0));
}

static Status infer(InferArgs& a) {
  const ResizeMode mode = TRY(resize_mode(a.attrs));
  if (given(a, 2) == given(a, 3)) return invalid_model("needs either scales or sizes");
  for (size_t i = 1; i < 4; ++i)
    if (a.ranked(i) && a.rank(i) != 1) return invalid_model("input '", a.op.inputs[i].name, "' must be a vector");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const std::vector<size_t> axes = TRY(resize_axes(a.attrs, size_t(a.rank(0))));
  const size_t by = given(a, 2) ? 2 : 3;
  if (a.ranked(by)) TRY(check_vector(a, by, Dim(int64_t(axes.size()))));
  const bool known = by == 2 ? a.has_constant(2) : a.has_constant(3);
  const bool needs_roi = mode.coords == ResizeMode::tf_crop;
  if (auto shape = to_concrete(a.shape(0)); shape && known && (!needs_roi || a.has_constant(1))) {
    const auto plan = TRY(resize_plan(a.attrs, mode, *shape, needs_roi ? a.in[1].constant.to_doubles() : std::vector<double>(),
                                      by == 2 ? a.in[2].constant.to_doubles() : std::vector<double>(),
                                      by == 3 ? a.in[3].constant.to_ints() : Ints()));
    SymShape y;
    for (const ResizeAxis& p : plan) y.push_back(Dim(p.out));
    a.set(0, a.dtype(0), y);
    return {};
  }
  SymShape y = a.shape(0);
  const std::vector<Dim>* sizes = by == 3 && mode.aspect == ResizeMode::stretch ? a.value(3) : nullptr;
  for (size_t i = 0; i < axes.size(); ++i) {
    std::optional<Dim> d;
    if (by == 2 && known) {
      const double scale = a.in[2].constant.at(int64_t(i));
      if (!(scale > 0 && scale < 1e9)) return invalid_model("scale ", scale, " must be positive");
      d = scaled_dim(y[axes[i]], float(scale));
    } else if (sizes) {
      d = (*sizes)[i];
    }
    y[axes[i]] = d ? *d : a.fresh("resized");
  }
  a.set(0, a.dtype(0), y);
  return {};
}

// Nearest moves elements without looking at them.
static void copy_nearest(const Tensor& x, Tensor& y, const std::vector<std::vector<Taps>>& tables, double fill) {
  const int64_t size = byte_size(y.dtype(), 1);
  const Shape strides = row_major_strides(x.shape());
  Shape o(y.shape().size(), 0);
  for (int64_t i = 0; i < y.size(); ++i, next_index(o, y.shape())) {
    int64_t from = 0;
    bool inside = true;
    for (size_t d = 0; d < o.size(); ++d) {
      const Taps& taps = tables[d][size_t(o[d])];
      inside = inside && !taps.empty();
      if (inside) from += taps[0].index * strides[d];
    }
    if (inside) std::memcpy(y.as<char>() + i * size, x.as<char>() + from * size, size_t(size));
    else y.set(i, fill);
  }
}

// [outer, in, inner] to [outer, out, inner].
static std::vector<double> resize_axis(const std::vector<double>& x, const ResizeAxis& axis, const std::vector<Taps>& table,
                                       int64_t inner, double fill) {
  const int64_t outer = int64_t(x.size()) / (axis.in * inner);
  std::vector<double> y(size_t(outer * axis.out * inner), 0.0);
  for (int64_t n = 0; n < outer; ++n)
    for (int64_t o = 0; o < axis.out; ++o) {
      double* to = y.data() + (n * axis.out + o) * inner;
      const Taps& taps = table[size_t(o)];
      if (taps.empty()) std::fill(to, to + inner, fill);
      for (const Tap& t : taps) {
        const double* from = x.data() + (n * axis.in + t.index) * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] += t.weight * from[i];
      }
    }
  return y;
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  auto doubles = [&](size_t i) { return a.has(i) ? a.x(i).to_doubles() : std::vector<double>(); };
  const ResizeMode mode = TRY(resize_mode(a.attrs));
  const std::vector<ResizeAxis> plan =
      TRY(resize_plan(a.attrs, mode, x.shape(), doubles(1), doubles(2), a.has(3) ? a.x(3).to_ints() : Ints()));
  Shape shape;
  for (const ResizeAxis& p : plan) shape.push_back(p.out);
  Tensor& y = *TRY(a.allocate(0, x.dtype(), shape));
  if (y.size() == 0) return {};
  std::vector<std::vector<Taps>> tables;
  for (const ResizeAxis& p : plan) tables.push_back(resize_table(mode, p));
  if (mode.kind == ResizeMode::nearest) return copy_nearest(x, y, tables, mode.extrapolation), Status();
  std::vector<double> values = x.to_doubles();
  int64_t inner = 1;
  for (size_t d = plan.size(); d-- > 0; inner *= plan[d].out) {
    const ResizeAxis& p = plan[d];
    const bool untouched = p.in == p.out && p.scale == 1 && p.roi_start == 0 && p.roi_end == 1;
    if (!untouched) values = resize_axis(values, p, tables[d], inner, mode.extrapolation);
  }
  if (is_int(y.dtype()))
    for (double& v : values) {  // an antialiased mean of integers is rounded, other modes cut off
      const double limit = std::ldexp(1.0, bits(y.dtype()) - is_signed_int(y.dtype()));
      v = std::clamp(mode.antialias ? std::nearbyint(v) : std::trunc(v), is_signed_int(y.dtype()) ? -limit : 0.0, limit - 1);
    }
  store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  return {};
}

extern const Op op_resize{
    .name = "Resize",
    .version = 19,
    .compatible_from = 11,
    .older = {{10, upgrade_10}},
    .inputs = {{"X", kNumeric | kBool},
               {"roi", {DType::f16, DType::f32, DType::f64}, 'R', Param::optional},
               {"scales", DType::f32, 'S', Param::optional},
               {"sizes", DType::i64, 'I', Param::optional}},
    .attrs = {{"antialias", int64_t(0)},
              optional_attr("axes", AttrKind::ints),
              {"coordinate_transformation_mode", "half_pixel"},
              {"cubic_coeff_a", -0.75f},
              {"exclude_outside", int64_t(0)},
              {"extrapolation_value", 0.0f},
              {"keep_aspect_ratio_policy", "stretch"},
              {"mode", "nearest"},
              {"nearest_mode", "round_prefer_floor"}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .tolerance = {.f32 = 32},
    .samples = {{{{{1, 2, 4, 5}}, {.absent = true}, {{4}, DType::f32, 0, 0, {1, 1, 2, 2}}}},
                {{{{1, 2, 5, 4}}, {.absent = true}, {.absent = true}, {{4}, DType::i64, 0, 0, {1, 2, 7, 3}}},
                 {{"mode", "linear"}}},
                {{{{4, 3, 2, 5}}, {.absent = true}, {.absent = true}, {{4}, DType::i64, 0, 0, {7, 6, 2, 5}}},
                 {{"mode", "linear"}}},
                {{{{2, 3, 2, 1, 7}}, {.absent = true}, {{5}, DType::f32, 0, 0, {1, 1, 1, 1, 1.5}}}},
                {{{{1, 1, 5, 6}}, {.absent = true}, {{2}, DType::f32, 0, 0, {1.5, 0.5}}},
                 {{"mode", "cubic"}, {"axes", Ints{2, 3}}, {"coordinate_transformation_mode", "align_corners"}}}},
};

}  // namespace tenon::ops
