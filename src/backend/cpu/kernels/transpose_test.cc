#include "backend/cpu/kernels/transpose.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon::cpu {
namespace {

void check(int bytes, const Shape& shape, const std::vector<int64_t>& perm) {
  const int64_t n = num_elements(shape);
  std::vector<unsigned char> x(size_t(n * bytes)), y(x.size(), 0xee), want(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<unsigned char>((i * 2654435761u) >> 13);
  Shape out;
  for (int64_t p : perm) out.push_back(shape[size_t(p)]);
  const Shape strides = row_major_strides(shape);
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i, from = 0;
    for (size_t d = perm.size(); d-- > 0; rest /= out[d]) from += rest % out[d] * strides[size_t(perm[d])];
    std::memcpy(&want[size_t(i * bytes)], &x[size_t(from * bytes)], size_t(bytes));
  }
  auto plan = TransposePlan::make(bytes, shape, perm);
  ASSERT_TRUE(plan.ok());
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    plan.value().run(pool, x.data(), y.data());
    ASSERT_EQ(y, want) << bytes << " threads " << threads;
  }
}

TEST(Transpose, Permutations) {
  for (int bytes : {1, 2, 4, 8}) {
    for (int64_t h : {1, 2, 3, 4, 5, 16, 33, 100})
      for (int64_t w : {1, 2, 3, 4, 7, 16, 37, 130}) check(bytes, {h, w}, {1, 0}), check(bytes, {3, h, w}, {0, 2, 1});
    check(bytes, {2, 3, 4, 5}, {3, 2, 1, 0});
    check(bytes, {2, 3, 40, 50}, {0, 2, 3, 1});
    check(bytes, {2, 40, 50, 3}, {0, 3, 1, 2});
    check(bytes, {2, 40, 50, 64}, {0, 3, 1, 2});
    check(bytes, {2, 12, 33, 64}, {0, 2, 1, 3});
    check(bytes, {5, 6, 7, 2}, {2, 1, 0, 3});
    check(bytes, {5, 6, 7, 2}, {2, 0, 1, 3});
    check(bytes, {2, 3, 4, 5, 6}, {4, 0, 3, 1, 2});
    check(bytes, {2, 3, 4, 5, 6}, {1, 4, 0, 2, 3});
    check(bytes, {0, 3}, {1, 0});
    check(bytes, {}, {});
    check(bytes, {7, 9}, {0, 1});
    check(bytes, {300, 400}, {1, 0});
  }
}

}  // namespace
}  // namespace tenon::cpu
