// fuse_pointwise: elementwise nodes that work on one shape become one tenon.Fused node.
//
// Why: each of them alone reads and writes whole tensors; together they are one loop. A group's results all have the
// loop's shape; what is broadcast into it comes from outside. A group never waits for a node that waits for the group.
// Runs last: convolutions and products have taken what they can by then. Lone nodes stay as they are, and so do small
// integers, which the host computes.
//
//   %a: f32[n, 8] = Exp(%x)
//   %y: f32[n, 8] = Add(%a, %z)          becomes
//   %y: f32[n, 8] = tenon.Fused(%x, %z) {body=..., kind="pointwise"}
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> fuse_pointwise(Graph g, const PassOptions& options);

}  // namespace tenon
