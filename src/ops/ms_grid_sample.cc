// com.microsoft GridSample: the standard's GridSample before it was one, for images, with its older mode names.
#include "ops/common/grid_sample.h"

namespace tenon::ops {

extern const Op op_ms_grid_sample{
    .name = "GridSample",
    .domain = "com.microsoft",
    .inputs = {{"X", kFloats}, {"Grid", kFloats, 'G'}},
    .attrs = {{"align_corners", int64_t(0)}, {"mode", "bilinear"}, {"padding_mode", "zeros"}},
    .infer = infer_grid_sample,
    .reference = reference_grid_sample,
    .fusion = Fusion::injective,
    .tolerance = {.f32 = 64},
    .samples = {{{{{1, 2, 5, 4}}, {{1, 3, 7, 2}, DType::f32, -1.2, 1.2}}},
                {{{{2, 1, 4, 4}}, {{2, 3, 3, 2}, DType::f32, -1.5, 1.5}}, {{"mode", "bicubic"}}}},
};

}  // namespace tenon::ops
