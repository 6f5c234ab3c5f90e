// GridSample: y[n, c, o] = x[n, c] at the place that grid[n, o] names, -1 to 1 across each dimension, interpolated.
#include "ops/common/grid_sample.h"

namespace tenon::ops {

// Opset 16 said bilinear and bicubic.
static Status upgrade_16(Upgrade& u) {
  const std::string mode = u.node.attrs.s("mode");
  if (mode.empty() || mode == "bilinear") u.node.attrs.set("mode", "linear");
  if (mode == "bicubic") u.node.attrs.set("mode", "cubic");
  return {};
}

extern const Op op_grid_sample{
    .name = "GridSample",
    .version = 22,
    .compatible_from = 20,
    .older = {{16, upgrade_16}},
    .inputs = {{"X", kNumeric | kBool}, {"grid", kFloats, 'G'}},
    .attrs = {{"align_corners", int64_t(0)}, {"mode", "linear"}, {"padding_mode", "zeros"}},
    .infer = infer_grid_sample,
    .reference = reference_grid_sample,
    .fusion = Fusion::injective,
    .tolerance = {.f32 = 64},
    .samples = {{{{{1, 2, 5, 4}}, {{1, 3, 7, 2}, DType::f32, -1.2, 1.2}}},
                {{{{2, 1, 4, 4}}, {{2, 3, 3, 2}, DType::f32, -1.5, 1.5}},
                 {{"mode", "cubic"}, {"padding_mode", "reflection"}, {"align_corners", int64_t(1)}}},
                {{{{1, 1, 3, 4, 5}}, {{1, 2, 2, 2, 3}, DType::f32, -1.2, 1.2}}, {{"padding_mode", "border"}}}},
};

}  // namespace tenon::ops
