// Helpers of the kernel tests: aligned memory, random values, comparison, and a plain epilogue in double.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "backend/cpu/kernels/epilogue.h"

namespace tenon::cpu {

// 64-byte aligned floats, exactly sized so that a sanitizer sees every overrun; poisoned with NaN.
class Floats {
 public:
  explicit Floats(int64_t n)
      : n_(n), data_(static_cast<float*>(std::malloc(static_cast<size_t>(n) * 4 + 64))) {
    base_ = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(data_) + 63) / 64 * 64);
    // The last float ends where the allocation ends when n is a multiple of 16; otherwise within 64 bytes of
    // it.
    for (int64_t i = 0; i < n; ++i) base_[i] = std::numeric_limits<float>::quiet_NaN();
  }
  ~Floats() { std::free(data_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* data() { return base_; }
  const float* data() const { return base_; }
  float& operator[](int64_t i) { return base_[i]; }
  float operator[](int64_t i) const { return base_[i]; }
  int64_t size() const { return n_; }

 private:
  int64_t n_;
  float* data_;
  float* base_ = nullptr;
};

inline uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

inline std::vector<float> random_floats(int64_t n, uint64_t seed) {
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 0x1234567;
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = static_cast<float>(static_cast<double>(next_random(&state) >> 40) / (1 << 23) - 1.0);
  return v;
}

inline double activate_reference(const Epilogue& e, double x) {
  switch (e.act) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::clip:
      return x < e.a ? e.a : x > e.b ? e.b : x;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::hard_swish:
      return x * std::fmin(1.0, std::fmax(0.0, x / 6 + 0.5));
    case Activation::hard_sigmoid:
      return std::fmin(1.0, std::fmax(0.0, e.a * x + e.b));
    case Activation::gelu_erf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::leaky_relu:
      return x < 0 ? e.a * x : x;
  }
  return x;
}

// `row` and `col` index bias; `residual` is the residual's value at this place.
inline double finish_reference(const Epilogue& e, double sum, int64_t row, int64_t col, double residual) {
  double x = e.alpha * sum;
  if (e.col_bias) x += e.col_bias[col];
  if (e.row_bias) x += e.row_bias[row];
  if (e.residual && !e.residual_after) x += e.beta * residual;
  x = activate_reference(e, x);
  if (e.residual && e.residual_after) x += e.beta * residual;
  return x;
}

inline ::testing::AssertionResult close(float got, double want, double tolerance) {
  if (std::isnan(want)) {
    if (std::isnan(got)) return ::testing::AssertionSuccess();
  } else if (std::isinf(want)) {
    if (static_cast<double>(got) == want) return ::testing::AssertionSuccess();
  } else if (std::fabs(got - want) <= tolerance * std::fmax(1.0, std::fabs(want))) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "got " << got << ", want " << want;
}

inline bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.size()) * 4) == 0;
}

inline const std::vector<Activation>& all_activations() {
  static const std::vector<Activation> all = {
      Activation::none,      Activation::relu,       Activation::clip,         Activation::sigmoid,
      Activation::silu,      Activation::hard_swish, Activation::hard_sigmoid, Activation::gelu_erf,
      Activation::gelu_tanh, Activation::tanh,       Activation::leaky_relu};
  return all;
}

}  // namespace tenon::cpu
