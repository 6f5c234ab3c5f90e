#include "difference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::cli {

Difference compare_tensors(const Tensor& got, const Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  Difference out;
  if (got.dtype() != expected.dtype() || got.shape() != expected.shape()) return {kInfinite, kInfinite, 0, 0};
  double largest = 0;
  const int64_t n = expected.size();
  if (n == 0 || got.identical(expected)) return out;
  constexpr int64_t kBlock = 4096;
  std::vector<double> a(kBlock), b(kBlock);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    load_doubles(got.dtype(), got.data(), begin, count, a.data());
    load_doubles(got.dtype(), expected.data(), begin, count, b.data());
    for (int64_t i = 0; i < count; ++i) {
      const double x = a[size_t(i)], y = b[size_t(i)];
      if (std::isfinite(y)) largest = std::max(largest, std::fabs(y));
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      ++out.unequal;
      const double gap = std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) : kInfinite;
      if (gap > out.absolute || out.at < 0) {
        out.absolute = gap;
        out.at = begin + i;
      }
    }
  }
  out.relative = out.absolute == 0 ? 0 : largest > 0 ? out.absolute / largest : kInfinite;
  return out;
}

Result<Tensor> converted(const Tensor& t, DType type) {
  if (t.dtype() == type) return t;
  Tensor out = TRY(Tensor::allocate(type, t.shape()));
  constexpr int64_t kBlock = 4096;
  std::vector<double> block(kBlock);
  for (int64_t begin = 0; begin < t.size(); begin += kBlock) {
    const int64_t count = std::min(kBlock, t.size() - begin);
    load_doubles(t.dtype(), t.data(), begin, count, block.data());
    store_doubles(type, out.data(), begin, count, block.data());
  }
  return out;
}

}  // namespace tenon::cli
