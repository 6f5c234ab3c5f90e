// fold_shapes: integers that are known as expressions of the inputs' sizes become a constant or one tenon.Dims node.
//
// Why: exporters spell out shape arithmetic in Shape, Gather, Concat, Mul...; inference has followed it, so nothing
// needs to compute it on the device. Runs after fold_constants; the chains that led there are dead afterwards.
// Sizes that only data decides (NonZero) stay computed, until fold_late_shapes does the same with them: behind all passes, as
// a symbol that inference has made up goes when a pass merges the node that it came from.
//
//   %s: i64[2] = Shape(%x)      // %x: f32[batch, 4]
//   %n: i64[1] = Slice(%s, %zero, %one)                 becomes      %n: i64[1] = tenon.Dims() {dims=["batch"]}
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> fold_shapes(Graph g, const PassOptions& options);
Result<Graph> fold_late_shapes(Graph g, const PassOptions& options);

}  // namespace tenon
