// find_gelu: recognises Gelu where an exporter spelled it out, with erf or with tanh.
//
// Why: as one node it can be the activation of a matrix product, with a kernel that knows it.
//
//   %d: f32[n] = Div(%x, %sqrt2)
//   %e: f32[n] = Erf(%d)
//   %a: f32[n] = Add(%e, %one)
//   %m: f32[n] = Mul(%x, %a)
//   %y: f32[n] = Mul(%m, %half)          becomes        %y: f32[n] = Gelu(%x)
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> find_gelu(Graph g, const PassOptions& options);

}  // namespace tenon
