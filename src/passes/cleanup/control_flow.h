// control_flow: runs all passes over the bodies of If, Loop and Scan.
//
// Why: a body is a graph like any other, and some models are one If around everything. Runs when constants and shapes
// around the bodies are folded, so that the bodies know what is constant. A body whose inputs have no types yet stays.
//
//   %y = If(%c) {then_branch=graph "then" () -> (%o) {  %a = Identity(%o0) ... }}   becomes   the same without %a
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> control_flow(Graph g, const PassOptions& options);

}  // namespace tenon
