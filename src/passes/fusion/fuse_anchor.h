// fuse_anchor: a Conv, ConvTranspose, Gemm or MatMul and the elementwise nodes behind it become one tenon.Fused node.
//
// Why: bias, activation, scale and residual are then applied to results that are still in registers. The chain goes on
// while the shape stays, types stay, and nothing inside is used elsewhere (x * Sigmoid(x) is inside both ways). Other
// operands are single numbers, one number a channel, or tensors of the full shape. The body's first node is the anchor.
// Runs after the layout pass and before fuse_pointwise, which takes what is left.
//
//   %c: f32[n, 8] = MatMul(%x, %w)
//   %b: f32[n, 8] = Add(%c, %bias)
//   %y: f32[n, 8] = Relu(%b)             becomes
//   %y: f32[n, 8] = tenon.Fused(%x, %w, %bias) {body=..., kind="matmul"}
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> fuse_anchor(Graph g, const PassOptions& options);

}  // namespace tenon
