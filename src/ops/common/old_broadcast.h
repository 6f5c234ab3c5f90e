// Broadcasting as it was before opset 7: only if `broadcast` is set, and of the second input, from dimension `axis` on.
#pragma once

#include "ops/op.h"

namespace tenon {

// Rewrites a two-input node of opset 6 so that numpy's broadcasting means the same.
Status upgrade_broadcast_6(Upgrade& u);

// Puts an Unsqueeze before the node that gives input `index` a shape with `trailing` dimensions of 1 at its end.
void append_dims(Upgrade& u, size_t index, int64_t rank, int64_t trailing);

}  // namespace tenon
