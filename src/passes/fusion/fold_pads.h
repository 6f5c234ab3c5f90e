// fold_pads: a Pad with zeros before a Conv or AveragePool becomes that node's own padding.
//
// Why: exporters from frameworks with "same" padding write it as a node, which copies the whole tensor.
//
//   %p: f32[n, 3, 9, 9] = Pad(%x, %pads)                // one on each side of both spatial dimensions
//   %y: f32[n, 8, 7, 7] = Conv(%p, %w)                  becomes     %y = Conv(%x, %w) {pads=[1, 1, 1, 1]}
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> fold_pads(Graph g, const PassOptions& options);

}  // namespace tenon
