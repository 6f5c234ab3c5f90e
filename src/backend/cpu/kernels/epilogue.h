// Epilogue: what a matrix multiplication or convolution does to each result before it is stored.
#pragma once

#include <cstdint>

namespace tenon::cpu {

enum class Activation : uint8_t {
  none,
  relu,          // max(0, x)
  clip,          // min(b, max(a, x))
  sigmoid,       // 1 / (1 + exp(-x))
  silu,          // x * sigmoid(x)
  hard_swish,    // x * min(1, max(0, x / 6 + 0.5))
  hard_sigmoid,  // min(1, max(0, a * x + b))
  gelu_erf,      // 0.5 x (1 + erf(x / sqrt(2)))
  gelu_tanh,     // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  tanh,
  leaky_relu,  // x < 0 ? a * x : x
};

// y = act(alpha * sum + col_bias + row_bias + beta * residual), or with residual_after
// y = act(alpha * sum + col_bias + row_bias) + beta * residual. Then `callback`, if any, rewrites y in place.
// For a convolution a row is an output pixel (n, oh, ow) and a column is an output channel.
struct Epilogue {
  float alpha = 1.0f;
  const float* col_bias = nullptr;  // [N]
  const float* row_bias = nullptr;  // [M]
  // Rows follow the output's rows; may be the output itself (same address and pitch).
  const float* residual = nullptr;
  int64_t ld_residual = 0;  // floats between rows; 0: dense
  float beta = 1.0f;
  bool residual_after = false;
  Activation act = Activation::none;
  float a = 0.0f;  // see Activation
  float b = 0.0f;
  // Called once for each finished piece of a row, from any worker: values y[0..n) of row `row`, columns [col,
  // col+n). Rows of batched products count on: batch * M + m.
  void (*callback)(void* context, float* y, int64_t row, int64_t col, int64_t n) = nullptr;
  void* context = nullptr;
};

}  // namespace tenon::cpu
