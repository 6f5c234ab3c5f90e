#include "stats/value_range.h"

#include <algorithm>
#include <cmath>

namespace tenon {

// The bits of a float's magnitude order as the magnitudes do, infinities and NaNs last: comparing them as integers needs no
// case for any of these, so that the loop stays in vectors.
static constexpr uint32_t kInfinity = 0x7f800000;

static float from_bits(uint32_t bits) {
  float f;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}

static void add_one(ValueRange& r, double x) {
  if (std::isnan(x)) ++r.nan;
  else if (std::isinf(x)) ++r.infinite;
  else {
    r.low = std::min(r.low, x);
    r.high = std::max(r.high, x);
    if (x != 0) r.least = std::min(r.least, std::fabs(x));
  }
}

static void add_floats(ValueRange& r, const float* x, int64_t n) {
  constexpr int64_t kBlock = 4096;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = std::min(n, begin + kBlock);
    float low = std::numeric_limits<float>::infinity(), high = -low;
    uint32_t least = UINT32_MAX, most = 0;
    for (int64_t i = begin; i < end; ++i) {
      uint32_t bits;
      __builtin_memcpy(&bits, x + i, 4);
      const uint32_t magnitude = bits & 0x7fffffff;
      least = std::min(least, magnitude - 1);  // zero becomes the largest of all
      most = std::max(most, magnitude);
      low = std::min(low, x[i]);
      high = std::max(high, x[i]);
    }
    if (most >= kInfinity) {  // rare: element by element
      for (int64_t i = begin; i < end; ++i) add_one(r, double(x[i]));
      continue;
    }
    r.low = std::min(r.low, double(low));
    r.high = std::max(r.high, double(high));
    if (least != UINT32_MAX) r.least = std::min(r.least, double(from_bits(least + 1)));
  }
}

void ValueRange::add(const Tensor& t) {
  const int64_t n = t.size();
  count += n;
  if (t.dtype() == DType::f32) return add_floats(*this, t.as<float>(), n);
  for (int64_t i = 0; i < n; ++i) add_one(*this, t.at(i));
}

void ValueRange::merge(const ValueRange& o) {
  low = std::min(low, o.low);
  high = std::max(high, o.high);
  least = std::min(least, o.least);
  count += o.count;
  infinite += o.infinite;
  nan += o.nan;
}

double ValueRange::largest() const { return low > high ? 0 : std::max(std::fabs(low), std::fabs(high)); }

}  // namespace tenon
