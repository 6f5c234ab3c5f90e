// Activation functions that operators name in attributes (RNN, LSTM, GRU, FusedConv).
#pragma once

#include <optional>
#include <string_view>

#include "base/status.h"

namespace tenon {

struct Activation {
  enum Kind : uint8_t { relu, tanh, sigmoid, affine, leaky_relu, thresholded_relu, scaled_tanh, hard_sigmoid, elu,
                        softsign, softplus, clip } kind = tanh;
  double alpha = 0, beta = 0;

  double operator()(double x) const;
};

// By ONNX's name, in any case, with that function's own defaults. Errors: no such function.
Result<Activation> find_activation(std::string_view name);
// How many of alpha and beta it takes.
int activation_parameters(Activation::Kind kind);

}  // namespace tenon
