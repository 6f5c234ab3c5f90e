// channels_last: convolutions and pools work on [N, spatial..., C] instead of [N, C, spatial...].
//
// Why: kernels read and write whole vectors of channels then, and a pixel's channels meet a row of weights as a matrix
// product wants it. Each Conv, ConvTranspose, MaxPool and AveragePool gets channels_last=1 with a Transpose before and
// after it; the transposes pass then moves these through what stands between. A Transpose that is left costs one pass
// over its tensor, a convolution in the other layout far more. Runs before nodes are fused, which would stand in the way
// of the Transposes.
//
//   %y: f32[n, 8, 5, 5] = Conv(%x, %w)                  becomes
//   %t: f32[n, 7, 7, 3] = Transpose(%x) {perm=[0, 2, 3, 1]}
//   %c: f32[n, 5, 5, 8] = Conv(%t, %w) {channels_last=1}
//   %y: f32[n, 8, 5, 5] = Transpose(%c) {perm=[0, 3, 1, 2]}
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> channels_last(Graph g, const PassOptions& options);
// The first half: the Transposes stay where they are, and every value keeps its name, its shape and its numbers. False:
// there was nothing to convert.
Result<bool> convert_windows(Graph& g);

}  // namespace tenon
