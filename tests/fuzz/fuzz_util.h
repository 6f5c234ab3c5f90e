// What the fuzz targets share: limits, so that a hostile input is refused and not slow, and a run of a small graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ir/graph.h"

namespace tenon {

// Compiles the graph for the reference device and, where that is quick, runs it there and by the interpreter. Only
// crashes, hangs and broken promises are findings; any Status is fine.
void compile_and_run(Graph graph);
// Whether the references would run it in a moment, with every free dimension 1. Fills in those shapes.
bool is_quick(Graph& graph);

}  // namespace tenon
