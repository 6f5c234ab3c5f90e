// lower_precision: with PassOptions::precision fp16 or bf16, float32 arithmetic moves to that type. Constants are rounded
// (finite numbers beyond the type's range become its largest), values are cast where they enter and leave, and the graph's
// inputs and outputs keep their types. An operator that does not take the type, control flow, and what a rule or a pin keeps
// (float_needs.h) stay in float32. With tf32 types stay, and products that have to keep float32 factors get exact=1. With fp32
// nothing happens.
//
//   %y: f32[n, 8] = MatMul(%x: f32[n, 4], %w: f32[4, 8])
// becomes
//   %x.f16: f16[n, 4] = Cast(%x) {to=10}
//   %y.f16: f16[n, 8] = MatMul(%x.f16, %w.f16)
//   %y: f32[n, 8] = Cast(%y.f16) {to=1}
//
// Here, because weights have taken over the scales around them and norms are single nodes, which accumulate in float32
// inside, while nothing is fused yet.
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> lower_precision(Graph g, const PassOptions& options);

}  // namespace tenon
