#include "stats/value_range.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Elements one by one, for comparison.
ValueRange slow(const Tensor& t) {
  ValueRange r;
  r.count = t.size();
  for (int64_t i = 0; i < t.size(); ++i) {
    const double x = t.at(i);
    if (std::isnan(x)) ++r.nan;
    else if (std::isinf(x)) ++r.infinite;
    else {
      r.low = std::min(r.low, x), r.high = std::max(r.high, x);
      if (x != 0) r.least = std::min(r.least, std::fabs(x));
    }
  }
  return r;
}

TEST(ValueRange, AsElementByElement) {
  for (DType type : {DType::f32, DType::f16, DType::bf16, DType::f64})
    for (int64_t n : {0, 1, 2, 17, 4096, 4097, 9001})
      for (int64_t odd : {-1, 0, 1, 4096, 9000}) {
        Tensor t = Tensor::make(type, {n});
        for (int64_t i = 0; i < n; ++i) t.set(i, i % 5 == 0 ? 0 : double(i % 101 - 50) / 64);
        if (odd >= 0 && odd < n) t.set(odd, odd % 2 ? std::nan("") : odd ? kInf : -kInf);
        ValueRange r;
        r.add(t);
        const ValueRange want = slow(t);
        EXPECT_EQ(r.low, want.low);
        EXPECT_EQ(r.high, want.high);
        EXPECT_EQ(r.least, want.least);
        EXPECT_EQ(r.count, want.count);
        EXPECT_EQ(r.nan, want.nan);
        EXPECT_EQ(r.infinite, want.infinite);
      }
}

TEST(ValueRange, NothingSeen) {
  ValueRange r;
  EXPECT_EQ(r.largest(), 0);
  r.add(Tensor::of_floats(std::vector<double>{0, 0}));
  EXPECT_EQ(r.least, kInf);
  EXPECT_EQ(r.largest(), 0);
}

TEST(ValueRange, Merges) {
  ValueRange a, b;
  a.add(Tensor::of_floats(std::vector<double>{-3, 1}));
  b.add(Tensor::of_floats(std::vector<double>{2, 0.5, kInf}));
  a.merge(b);
  EXPECT_EQ(a.low, -3);
  EXPECT_EQ(a.high, 2);
  EXPECT_EQ(a.least, 0.5);
  EXPECT_EQ(a.count, 5);
  EXPECT_EQ(a.infinite, 1);
  EXPECT_EQ(a.largest(), 3);
}

}  // namespace
}  // namespace tenon
