// What GridSample and its com.microsoft forerunner share; the latter's bilinear and bicubic are linear and cubic.
#pragma once

#include "ops/op.h"

namespace tenon {

Status infer_grid_sample(InferArgs& a);
Status reference_grid_sample(RefArgs& a);

}  // namespace tenon
