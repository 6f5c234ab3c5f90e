// control_flow: an If whose condition is constant becomes its branch; all passes over the bodies of If, Loop and Scan.
//
// Why: a body is a graph like any other, and some models are one If around everything. Runs when constants and shapes
// around the bodies are folded, so that the bodies know what is constant. A body whose inputs have no types yet stays, and
// so does a branch that contradicts itself: exporters leave branches that cannot work and are never taken.
//
//   const %c: bool[] = 1
//   %y = If(%c, %x) {captures=1, then_branch=graph "then" (%p) -> (%o) {  %o = Relu(%p) }, ...}
// becomes
//   %o = Relu(%x)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> control_flow(Graph g, const PassOptions& options);

}  // namespace tenon
