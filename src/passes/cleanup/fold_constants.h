// fold_constants: runs nodes whose inputs are all constant, at build time.
//
// Why: exporters write weights as Transpose, Cast or DequantizeLinear of the stored ones. Runs first, so that later
// passes find weights as constants, and again after passes that put work on weights. Results over 1 MiB that are larger
// than what they come from (Expand, Tile, ConstantOfShape) stay computed, except for weights that change their type.
//
//   const %w: f32[2, 1] = [1.0, 2.0]
//   %t: f32[1, 2] = Transpose(%w)        becomes        const %t: f32[1, 2] = [1.0, 2.0]
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> fold_constants(Graph g, const PassOptions& options);

}  // namespace tenon
