// Gemm's shapes and arithmetic, for ONNX's operator and those that add an activation to it.
#pragma once

#include "ops/op.h"

namespace tenon {

Status infer_gemm(InferArgs& a);
// alpha * A' * B' + beta * C before it is stored: [M, N].
std::vector<double> gemm_doubles(const RefArgs& a);

}  // namespace tenon
