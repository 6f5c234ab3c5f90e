// reshapes: one spelling for all views: Squeeze, Unsqueeze, Flatten and chains of Reshapes become one Reshape with a
// constant shape.
//
// Why: several views in a row hide each other; shapes computed from the input's own shape need no computing when 0 and
// -1 can say the same. A view between a product and an activation moves behind the activation, so that they fuse. Runs
// after fold_shapes and again after transposes.
//
//   %s: f32[n, 1, 12] = Unsqueeze(%x, %one)             // %x: f32[n, 12]
//   %y: f32[n, 3, 4] = Reshape(%s, %d)                  becomes      %y: f32[n, 3, 4] = Reshape(%x, %shape)
//                                                                    with const %shape: i64[3] = [0, 3, 4]
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> reshapes(Graph g, const PassOptions& options);

}  // namespace tenon
