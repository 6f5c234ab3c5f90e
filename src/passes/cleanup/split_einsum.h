// split_einsum: an Einsum becomes Transposes, ReduceSums and a MatMul or Mul for each operand after the
// first.
//
// Why: those have kernels, fuse with their neighbours and are what other patterns look for; exporters write
// attention as Einsum.
//
//   %y: f32[b, h, i, j] = Einsum(%q, %k) {equation="bhid,bhjd->bhij"}      becomes
//   %t: f32[b, h, d, j] = Transpose(%k) {perm=[0, 1, 3, 2]}
//   %y: f32[b, h, i, j] = MatMul(%q, %t)
//
// A label that is twice in one term (a diagonal) stays, as does what would need two free sizes as one.
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> split_einsum(Graph g, const PassOptions& options);

}  // namespace tenon
