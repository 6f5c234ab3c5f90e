// transposes: merges Transposes in a row, and moves Transposes behind the nodes that follow them, where they meet
// others and cancel.
//
// Why: exporters and the layout pass put Transposes around single nodes. A Transpose moves behind elementwise nodes
// (constants are transposed instead), Concat, Split, Slice, Pad, Resize, reductions, pools over everything,
// quantisation, and Reshapes that join or split what lies together; never is there more to transpose afterwards. One that only moves dimensions of size 1 is a Reshape.
// Transposes of rows before a MatMul with a matrix move as well; others before MatMul stay, as backends read transposed
// operands. Runs after the layout pass.
//
//   %t: f32[n, 8, 4] = Transpose(%x) {perm=[0, 2, 1]}
//   %r: f32[n, 8, 4] = Relu(%t)
//   %y: f32[n, 4, 8] = Transpose(%r) {perm=[0, 2, 1]}   becomes      %y: f32[n, 4, 8] = Relu(%x)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> transposes(Graph g, const PassOptions& options);

// Bytes that the graph's Transposes move; for weighing layouts.
double transposed_bytes(const Graph& g);

}  // namespace tenon
