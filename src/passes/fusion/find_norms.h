// find_norms: recognises LayerNormalization and RMSNormalization where an exporter spelled them out.
//
// Why: one kernel reads each row once instead of seven times. The core is found first, with a scale of ones; Mul and
// Add of constants behind it then become its scale and bias.
//
//   %q: f32[n, 8] = Pow(%x, %two)
//   %m: f32[n, 1] = ReduceMean(%q, %last)
//   %e: f32[n, 1] = Add(%m, %epsilon)
//   %s: f32[n, 1] = Sqrt(%e)
//   %d: f32[n, 8] = Div(%x, %s)
//   %y: f32[n, 8] = Mul(%d, %w)          becomes        %y: f32[n, 8] = RMSNormalization(%x, %w) {epsilon=...}
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> find_norms(Graph g, const PassOptions& options);

}  // namespace tenon
