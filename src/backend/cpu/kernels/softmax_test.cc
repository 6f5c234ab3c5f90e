#include "backend/cpu/kernels/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/tensor.h"

namespace tenon::cpu {
namespace {

void check(DType t, int64_t outer, int64_t n, int64_t inner, bool log, float scale = 1, bool masked = false, bool special = false) {
  SCOPED_TRACE(testing::Message() << name(t) << " " << outer << "x" << n << "x" << inner << " log " << log);
  std::mt19937 rng(7);
  std::uniform_real_distribution<double> u(-10, 10);
  Tensor x = Tensor::make(t, {outer, n, inner}), mask = Tensor::make(t, {2, 1, n});
  for (int64_t i = 0; i < x.size(); ++i) store_double(t, x.data(), i, special && i % 97 == 0 ? (i % 2 ? -INFINITY : NAN) : special && i % 5 == 0 ? -INFINITY : u(rng));
  for (int64_t i = 0; i < mask.size(); ++i) store_double(t, mask.data(), i, i % 4 == 1 ? -INFINITY : u(rng));
  SoftmaxDesc k;
  k.type = t, k.outer = outer, k.n = n, k.inner = inner, k.log = log, k.scale = scale;
  if (masked) {  // rows [2, outer / 2, 1], one mask row for each half
    k.row_dims[0] = 2, k.row_dims[1] = outer / 2, k.row_dims[2] = 1;
    k.mask_strides[0] = n;
  }
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<char> scratch(softmax_scratch_bytes(k, threads));
    Tensor y = Tensor::make(t, {outer, n, inner});
    softmax(pool, k, x.data(), masked ? mask.data() : nullptr, y.data(), scratch.data());
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < inner; ++j) {
        std::vector<double> v(static_cast<size_t>(n));
        double m = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; ++i) {
          v[size_t(i)] = load_double(t, x.data(), (o * n + i) * inner + j) * double(scale);
          if (masked) v[size_t(i)] += load_double(t, mask.data(), o / (outer / 2) * n + i);
          m = std::isnan(m) || m > v[size_t(i)] ? m : v[size_t(i)];
        }
        for (double e : v) sum += std::exp(e - m);
        for (int64_t i = 0; i < n; ++i) {
          const double want = log ? v[size_t(i)] - m - std::log(sum) : std::exp(v[size_t(i)] - m) / sum;
          const double got = load_double(t, y.data(), (o * n + i) * inner + j);
          if (std::isnan(want)) {
            ASSERT_TRUE(std::isnan(got)) << i;
          } else if (want != got) {
            const double unit = t == DType::f32 ? 1e-6 : t == DType::f16 ? 1e-3 : 8e-3;
            ASSERT_LE(std::fabs(want - got), unit * (log ? std::max(1.0, std::fabs(want)) : want) + 1e-7) << o << " " << i << " " << j << " want " << want << " got " << got;
          }
        }
      }
  }
}

TEST(Softmax, LastAxis) {
  for (DType t : {DType::f32, DType::f16, DType::bf16})
    for (bool log : {false, true})
      for (int64_t n : {1, 3, 16, 31, 64, 100, 1000}) check(t, 40, n, 1, log);
  check(DType::f32, 0, 5, 1, false);
  check(DType::f32, 3, 5, 1, true, 1, false, true);
  check(DType::f32, 30, 77, 1, false, 1, false, true);
}
TEST(Softmax, ScaleAndMask) {
  for (DType t : {DType::f32, DType::f16})
    for (int64_t n : {5, 64, 129}) {
      check(t, 8, n, 1, false, 0.125f, true);
      check(t, 8, n, 1, true, 0.125f, false);
    }
}
TEST(Softmax, OtherAxis) {
  for (DType t : {DType::f32, DType::f16, DType::bf16})
    for (bool log : {false, true})
      for (int64_t inner : {2, 16, 33, 150}) check(t, 3, 21, inner, log);
  check(DType::f32, 2, 30, 40, false, 1, false, true);
}

}  // namespace
}  // namespace tenon::cpu
