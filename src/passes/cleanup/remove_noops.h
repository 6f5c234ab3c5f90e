// remove_noops: drops nodes that give back their input.
//
// Why: Identity, Dropout, Cast to the same type, Add of 0, Pad of nothing and so on cost a pass over memory and stand
// between nodes that later passes want to see side by side. An Expand whose work the next elementwise node's own
// broadcasting does is dropped as well. Runs after shapes are folded, which tells when shapes are equal.
//
//   %a: f32[n, 4] = Identity(%x)
//   %b: f32[n, 4] = Mul(%a, %one)
//   %y: f32[n, 4] = Relu(%b)             becomes        %y: f32[n, 4] = Relu(%x)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> remove_noops(Graph g, const PassOptions& options);

}  // namespace tenon
