// The old form of Softmax, LogSoftmax and Hardmax.
#pragma once

#include "ops/op.h"

namespace tenon {

// Before opset 13 they worked on a matrix: all dimensions from `axis` (default 1) on were one. The same as now, unless
// more than one dimension follows; then y = Reshape(op(Flatten(x, axis), -1), Shape(x)).
Status upgrade_flattened(Upgrade& u);

}  // namespace tenon
