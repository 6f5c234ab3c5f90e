// ArgMax and ArgMin: the index of the extreme element along an axis.
#pragma once

#include "ops/op.h"

namespace tenon {

Status infer_arg_extreme(InferArgs& a);
Status reference_arg_max(RefArgs& a);
Status reference_arg_min(RefArgs& a);

}  // namespace tenon
