// MaxRoiPool: the largest element of each cell of a grid laid over each region of interest [batch, x1, y1, x2, y2].
#include <algorithm>
#include <cmath>

#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const Ints& pooled = a.attrs.ints("pooled_shape");
  if (pooled.size() != 2 || pooled[0] < 1 || pooled[1] < 1)
    return invalid_model("attribute 'pooled_shape' is ", pooled, ", two positive sizes are needed");
  if (a.ranked(0) && a.rank(0) != 4) return invalid_model("needs an input of rank 4, not ", a.rank(0));
  if (a.ranked(1) && (a.rank(1) != 2 || (a.shape(1)[1].is_const() && !a.shape(1)[1].is(5))))
    return invalid_model("input 'rois' has shape ", to_string(a.shape(1)), ", [n, 5] is needed");
  a.set(0, a.dtype(0),
        {a.ranked(1) ? a.shape(1)[0] : a.fresh("rois"), a.ranked(0) ? a.shape(0)[1] : a.fresh("channels"),
         Dim(pooled[0]), Dim(pooled[1])});
  return {};
}


static Status reference(RefArgs& a) {
  const Tensor& rois = a.x(1);
  Tensor& y = a.y(0);
  const int64_t batch = a.x(0).dim(0), channels = a.x(0).dim(1), height = a.x(0).dim(2), width = a.x(0).dim(3);
  const Ints& pooled = a.attrs.ints("pooled_shape");
  const double scale = a.attrs.f("spatial_scale");
  const std::vector<double> x = a.x(0).to_doubles();
  int64_t out = 0;
  for (int64_t r = 0; r < y.dim(0); ++r) {
    double roi[5];
    for (int64_t i = 0; i < 5; ++i) {
      roi[i] = rois.at(r * 5 + i);
      if (!(std::abs(roi[i] * (i ? scale : 1)) < 1e9)) return invalid_argument("region ", r, " is not finite");
    }
    const int64_t n = int64_t(roi[0]);
    if (n < 0 || n >= batch) return invalid_argument("region ", r, " names image ", n, " of ", batch);
    const double x1 = std::round(roi[1] * scale), y1 = std::round(roi[2] * scale);
    const double w = std::max(std::round(roi[3] * scale) - x1 + 1, 1.0);
    const double h = std::max(std::round(roi[4] * scale) - y1 + 1, 1.0);
    auto cell = [](double start, double size, int64_t cells, int64_t i, int64_t limit) {
      const double step = size / double(cells);
      return std::pair(std::clamp<int64_t>(int64_t(std::floor(double(i) * step) + start), 0, limit),
                       std::clamp<int64_t>(int64_t(std::ceil(double(i + 1) * step) + start), 0, limit));
    };
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < pooled[0]; ++i)
        for (int64_t j = 0; j < pooled[1]; ++j, ++out) {
          const auto [top, bottom] = cell(y1, h, pooled[0], i, height);
          const auto [left, right] = cell(x1, w, pooled[1], j, width);
          double best = top < bottom && left < right ? -HUGE_VAL : 0;
          for (int64_t p = top; p < bottom; ++p)
            for (int64_t q = left; q < right; ++q)
              best = std::max(best, x[size_t(((n * channels + c) * height + p) * width + q)]);
          y.set(out, best);
        }
  }
  return {};
}

extern const Op op_max_roi_pool{
    .name = "MaxRoiPool",
    .version = 22,
    .compatible_from = 1,
    .inputs = {{"X", kFloats}, {"rois", kFloats}},
    .attrs = {required_attr("pooled_shape", AttrKind::ints), {"spatial_scale", 1.0f}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{2, 3, 8, 7}}, {{2, 5}, DType::f32, 0, 0, {0, 1, 1, 5, 6, 1, 0, 2, 6, 3}}},
                 {{"pooled_shape", Ints{2, 2}}}}},
};

}  // namespace tenon::ops
