// The Gaussian error linear unit as a scalar program, exact and approximated.
#pragma once

#include "ops/scalar.h"

namespace tenon {

// x/2 * (1 + erf(x / sqrt(2)))
inline S gelu(S x) { return 0.5 * x * (1 + unary(Prim::erf, x * 0.70710678118654752440)); }

// x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3)))
inline S gelu_tanh(S x) {
  return 0.5 * x * (1 + unary(Prim::tanh, 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

}  // namespace tenon
