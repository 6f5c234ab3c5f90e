// common_subexpressions: nodes that do the same to the same values become one; so do equal constants.
//
// Why: exporters repeat masks, position tables and shape constants for each layer. Runs after the clean-up passes that
// make equal things look equal.
//
//   %a: f32[n] = Exp(%x)
//   %b: f32[n] = Exp(%x)
//   %y: f32[n] = Add(%a, %b)             becomes        %y: f32[n] = Add(%a, %a)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> common_subexpressions(Graph g, const PassOptions& options);

}  // namespace tenon
