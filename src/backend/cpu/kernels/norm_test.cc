#include "backend/cpu/kernels/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/tensor.h"

namespace tenon::cpu {
namespace {

Tensor random(DType t, const Shape& shape, unsigned seed, double shift = 0) {
  Tensor x = Tensor::make(t, shape);
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> u(-2, 2);
  for (int64_t i = 0; i < x.size(); ++i) store_double(t, x.data(), i, u(rng) + shift);
  return x;
}
double at(const Tensor& t, int64_t i) { return load_double(t.dtype(), t.data(), i); }
double unit(DType t) { return t == DType::f32 ? 2e-6 : t == DType::f16 ? 2e-3 : 1.6e-2; }

TEST(LayerNorm, AllForms) {
  for (DType t : {DType::f32, DType::f16, DType::bf16})
    for (int64_t n : {1, 5, 16, 100, 768})
      for (int form = 0; form < 16; ++form) {
        const bool rms = form & 1, residual = form & 2, scale = form & 4, bias = form & 8;
        const int64_t rows = 37;
        LayerNormDesc k{t, form % 3 == 0 ? t : DType::f32, rows, n, 1e-5f, rms};
        Tensor x = random(t, {rows, n}, 1, 1), r = random(t, {rows, n}, 2), s = random(k.param_type, {n}, 3), b = random(k.param_type, {n}, 4);
        Tensor y = Tensor::make(t, {rows, n}), sum = Tensor::make(t, {rows, n});
        std::vector<float> mean(size_t(rows), 0), inv(size_t(rows), 0);
        LayerNormArgs g{x.data(), residual ? r.data() : nullptr, scale ? s.data() : nullptr, bias ? b.data() : nullptr, y.data(), sum.data(), mean.data(), inv.data()};
        ThreadPool pool(2);
        std::vector<char> scratch(layer_norm_scratch_bytes(k, 2));
        layer_norm(pool, k, g, scratch.data());
        for (int64_t i = 0; i < rows; ++i) {
          double m = 0, v = 0;
          auto value = [&](int64_t j) { return at(x, i * n + j) + (residual ? at(r, i * n + j) : 0); };
          for (int64_t j = 0; j < n && !rms; ++j) m += value(j) / double(n);
          for (int64_t j = 0; j < n; ++j) v += (value(j) - m) * (value(j) - m) / double(n);
          const double q = 1 / std::sqrt(v + double(k.epsilon));
          ASSERT_NEAR(double(mean[size_t(i)]), m, 1e-6);
          ASSERT_NEAR(double(inv[size_t(i)]) / q, 1, n == 1 ? 1e-3 : 1e-5);
          for (int64_t j = 0; j < n; ++j) {
            const double want = (value(j) - m) * q * (scale ? at(s, j) : 1) + (bias ? at(b, j) : 0);
            ASSERT_NEAR(at(y, i * n + j), want, unit(t) * 4 + (n == 1 ? 1e-3 : 0)) << name(t) << n << " form " << form;
            ASSERT_NEAR(at(sum, i * n + j), value(j), unit(t) * 4);
          }
        }
      }
}

TEST(GroupNorm, Groups) {
  for (DType t : {DType::f32, DType::f16})
    for (int64_t groups : {1, 2, 6})
      for (int64_t inner : {2, 49, 300}) {
        GroupNormDesc k{t, 3, 6, inner, groups, 1e-3f};
        Tensor x = random(t, {3, 6, inner}, 1, 5), s = random(t, {6}, 2), b = random(t, {6}, 3), y = Tensor::make(t, {3, 6, inner});
        ThreadPool pool(2);
        group_norm(pool, k, x.data(), s.data(), b.data(), y.data());
        const int64_t c = 6 / groups, n = c * inner;
        for (int64_t g = 0; g < 3 * groups; ++g) {
          double m = 0, v = 0;
          for (int64_t i = 0; i < n; ++i) m += at(x, g * n + i) / double(n);
          for (int64_t i = 0; i < n; ++i) v += (at(x, g * n + i) - m) * (at(x, g * n + i) - m) / double(n);
          for (int64_t i = 0; i < n; ++i) {
            const int64_t channel = g % groups * c + i / inner;
            ASSERT_NEAR(at(y, g * n + i), (at(x, g * n + i) - m) / std::sqrt(v + 1e-3) * at(s, channel) + at(b, channel), unit(t) * 4);
          }
        }
      }
}

TEST(ChannelAffine, BothLayouts) {
  for (DType t : {DType::f32, DType::bf16})
    for (auto [outer, channels, inner] : {std::array<int64_t, 3>{7, 33, 1}, {2, 5, 49}, {1, 3, 20000}, {0, 4, 4}}) {
      Tensor x = random(t, {outer, channels, inner}, 1), y = Tensor::make(t, x.shape());
      std::vector<float> s, b;
      for (int64_t c = 0; c < channels; ++c) s.push_back(float(c) - 2), b.push_back(float(c % 3));
      ThreadPool pool(2);
      channel_affine(pool, {t, outer, channels, inner}, x.data(), s.data(), b.data(), y.data());
      for (int64_t i = 0; i < x.size(); ++i) {
        const size_t c = size_t(i / inner % channels);
        const double want = at(x, i) * double(s[c]) + double(b[c]);
        ASSERT_NEAR(at(y, i), want, unit(t) * std::max(1.0, std::fabs(want)));
      }
    }
}

}  // namespace
}  // namespace tenon::cpu
