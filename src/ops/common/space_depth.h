// DepthToSpace and SpaceToDepth: blocks of pixels to channels and back.
#pragma once

#include "ops/op.h"

namespace tenon {

Status infer_depth_to_space(InferArgs& a);
Status reference_depth_to_space(RefArgs& a);
Status infer_space_to_depth(InferArgs& a);
Status reference_space_to_depth(RefArgs& a);

}  // namespace tenon
