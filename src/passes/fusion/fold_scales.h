// fold_scales: BatchNormalization, and scales and shifts by constants, go into the weights of the Conv, ConvTranspose,
// Gemm or MatMul before them.
//
// Why: at inference they are one multiplication and one addition for each channel, which weights and bias can do for
// free. A BatchNormalization that has no such node before it becomes Mul and Add, which fuse with other elementwise
// nodes. Runs before the layout pass, while channels are dimension 1.
//
//   %c: f32[n, 8, 5, 5] = Conv(%x, %W)
//   %y: f32[n, 8, 5, 5] = BatchNormalization(%c, %s, %b, %m, %v)
//                       becomes   %y: f32[n, 8, 5, 5] = Conv(%x, %W2, %B2)
//                       W2 = W * k,  B2 = (B - m) * k + b,  k = s / sqrt(v + epsilon)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> fold_scales(Graph g, const PassOptions& options);

}  // namespace tenon
