// RoiAlign: samples each cell of a grid over each region of interest [x1, y1, x2, y2] by bilinear interpolation at
// regular points, then takes their mean (or the largest weighted corner).
#include <algorithm>
#include <cmath>

#include "ops/op.h"

namespace tenon::ops {

// Until opset 16 coordinates were not shifted by half a pixel.
static Status upgrade_10(Upgrade& u) {
  u.node.attrs.set("coordinate_transformation_mode", "output_half_pixel");
  return {};
}

static Status infer(InferArgs& a) {
  const int64_t h = a.attrs.i("output_height"), w = a.attrs.i("output_width");
  if (h < 1 || w < 1) return invalid_model("an output of ", h, " by ", w);
  if (a.attrs.i("sampling_ratio") < 0 || a.attrs.i("sampling_ratio") > 4096)
    return invalid_model("attribute 'sampling_ratio' is ", a.attrs.i("sampling_ratio"));
  const std::string &mode = a.attrs.s("mode"), &coords = a.attrs.s("coordinate_transformation_mode");
  if (mode != "avg" && mode != "max") return invalid_model("attribute 'mode' cannot be '", mode, "'");
  if (coords != "half_pixel" && coords != "output_half_pixel")
    return invalid_model("attribute 'coordinate_transformation_mode' cannot be '", coords, "'");
  if (a.ranked(0) && a.rank(0) != 4) return invalid_model("needs an input of rank 4, not ", a.rank(0));
  if (a.ranked(1) && (a.rank(1) != 2 || (a.shape(1)[1].is_const() && !a.shape(1)[1].is(4))))
    return invalid_model("input 'rois' has shape ", to_string(a.shape(1)), ", [n, 4] is needed");
  if (a.ranked(2) && (a.rank(2) != 1 || (a.ranked(1) && a.shape(2)[0].is_const() && a.shape(1)[0].is_const() &&
                                         !(a.shape(2)[0] == a.shape(1)[0]))))
    return invalid_model("input 'batch_indices' has shape ", to_string(a.shape(2)), ", one index a region is needed");
  a.set(0, a.dtype(0),
        {a.ranked(1) ? a.shape(1)[0] : a.ranked(2) ? a.shape(2)[0] : a.fresh("rois"),
         a.ranked(0) ? a.shape(0)[1] : a.fresh("channels"), Dim(h), Dim(w)});
  return {};
}

// Four pixels and their weights around a point; all weights 0 outside of the image.
struct Sample4 {
  int64_t at[4] = {0, 0, 0, 0};
  double weight[4] = {0, 0, 0, 0};

  Sample4(double y, double x, int64_t height, int64_t width) {
    if (!(y >= -1 && y <= double(height) && x >= -1 && x <= double(width))) return;
    y = std::clamp(y, 0.0, double(height - 1)), x = std::clamp(x, 0.0, double(width - 1));
    const int64_t top = int64_t(y), left = int64_t(x);
    const int64_t bottom = std::min(top + 1, height - 1), right = std::min(left + 1, width - 1);
    const double fy = y - double(top), fx = x - double(left);
    const int64_t p[4] = {top * width + left, top * width + right, bottom * width + left, bottom * width + right};
    const double w[4] = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
    std::copy(p, p + 4, at), std::copy(w, w + 4, weight);
  }
};

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const int64_t batch = a.x(0).dim(0), channels = a.x(0).dim(1), height = a.x(0).dim(2), width = a.x(0).dim(3);
  if (y.size() == 0) return {};
  if (height == 0 || width == 0) return invalid_argument("the input has no pixels");
  const int64_t rows = y.dim(2), columns = y.dim(3), ratio = a.attrs.i("sampling_ratio");
  const double scale = a.attrs.f("spatial_scale");
  const bool half = a.attrs.s("coordinate_transformation_mode") == "half_pixel", mean = a.attrs.s("mode") == "avg";
  const std::vector<double> x = a.x(0).to_doubles();
  for (int64_t r = 0; r < y.dim(0); ++r) {
    const int64_t n = a.x(2).int_at(r);
    if (n < 0 || n >= batch) return invalid_argument("batch index ", n, " is out of range [0, ", batch, ")");
    double roi[4];
    for (int64_t i = 0; i < 4; ++i) {
      roi[i] = a.x(1).at(r * 4 + i) * scale - (half ? 0.5 : 0);
      if (!(std::abs(roi[i]) < 1e6)) return invalid_argument("region ", r, " is out of proportion");
    }
    double w = roi[2] - roi[0], h = roi[3] - roi[1];
    if (!half) w = std::max(w, 1.0), h = std::max(h, 1.0);  // malformed regions become one pixel
    const double cell_h = h / double(rows), cell_w = w / double(columns);
    const int64_t grid_h = ratio ? ratio : int64_t(std::ceil(cell_h)), grid_w = ratio ? ratio : int64_t(std::ceil(cell_w));
    if (grid_h * grid_w > 1 << 20) return invalid_argument("region ", r, " is out of proportion");
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        std::vector<double> total(size_t(channels), 0.0);
        bool first = true;
        for (int64_t p = 0; p < grid_h; ++p)
          for (int64_t q = 0; q < grid_w; ++q) {
            const Sample4 s(roi[1] + double(i) * cell_h + (double(p) + 0.5) * cell_h / double(grid_h),
                            roi[0] + double(j) * cell_w + (double(q) + 0.5) * cell_w / double(grid_w), height, width);
            for (int64_t c = 0; c < channels; ++c) {
              const double* in = x.data() + (n * channels + c) * height * width;
              double v[4], &sum = total[size_t(c)];
              for (int k = 0; k < 4; ++k) v[k] = s.weight[k] * in[s.at[k]];
              if (mean) sum += v[0] + v[1] + v[2] + v[3];
              else sum = first ? *std::max_element(v, v + 4) : std::max(sum, *std::max_element(v, v + 4));
            }
            first = false;
          }
        const double count = mean ? double(std::max<int64_t>(grid_h * grid_w, 1)) : 1;
        for (int64_t c = 0; c < channels; ++c)
          y.set(((r * channels + c) * rows + i) * columns + j, total[size_t(c)] / count);
      }
  }
  return {};
}

extern const Op op_roi_align{
    .name = "RoiAlign",
    .version = 22,
    .compatible_from = 16,
    .older = {{10, upgrade_10}},
    .inputs = {{"X", kFloats}, {"rois", kFloats}, {"batch_indices", DType::i64, 'I'}},
    .attrs = {{"coordinate_transformation_mode", "half_pixel"},
              {"mode", "avg"},
              {"output_height", int64_t(1)},
              {"output_width", int64_t(1)},
              {"sampling_ratio", int64_t(0)},
              {"spatial_scale", 1.0f}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 3, 9, 8}},
                  {{2, 4}, DType::f32, 0, 0, {0.5, 1, 6, 7.5, 2, 0, 7, 3}},
                  {{2}, DType::i64, 0, 0, {1, 0}}},
                 {{"output_height", int64_t(3)}, {"output_width", int64_t(2)}, {"sampling_ratio", int64_t(2)}}}},
};

}  // namespace tenon::ops
