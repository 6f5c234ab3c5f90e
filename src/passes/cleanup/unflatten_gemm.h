// unflatten_gemm: a Gemm whose input is a tensor flattened to a matrix becomes a MatMul of the tensor itself, and an Add.
//
// Why: the views around the Gemm stand between it and the residual or activation that follows; MatMul takes any number
// of leading dimensions. The view behind it then merges with what comes next.
//
//   %f: f32[n*s, 8] = Reshape(%x, %flat)                // %x: f32[n, s, 8]
//   %y: f32[n*s, 4] = Gemm(%f, %w, %b)                  becomes
//   %m: f32[n, s, 4] = MatMul(%x, %w)
//   %a: f32[n, s, 4] = Add(%m, %b)
//   %y: f32[n*s, 4] = Reshape(%a, %flat4)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> unflatten_gemm(Graph g, const PassOptions& options);

}  // namespace tenon
