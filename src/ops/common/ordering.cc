#include "ops/common/ordering.h"

#include <bit>
#include <cmath>
#include <limits>

namespace tenon {

static int64_t key(double v) {
  if (std::isnan(v)) return std::numeric_limits<int64_t>::max();
  const int64_t raw = std::bit_cast<int64_t>(v == 0 ? 0.0 : v);
  return raw < 0 ? raw ^ std::numeric_limits<int64_t>::max()
                 : raw;  // below 0, larger bits are smaller numbers
}

std::vector<int64_t> order_keys(const Tensor& t) {
  if (is_float(t.dtype())) {
    std::vector<int64_t> keys;
    for (double v : t.to_doubles()) keys.push_back(key(v));
    return keys;
  }
  std::vector<int64_t> keys = t.to_ints();
  if (t.dtype() == DType::u64)
    for (int64_t& k : keys) k ^= std::numeric_limits<int64_t>::min();
  return keys;
}

}  // namespace tenon
