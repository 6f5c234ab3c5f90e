#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/quantize.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <limits>

#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/quantize.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

constexpr DF kFloat{};

template <class T>
HWY_INLINE VF load_ints(const T* p) {
  if constexpr (sizeof(T) == 4)
    return hn::ConvertTo(kFloat, hn::LoadU(DI(), p));
  else
    return hn::ConvertTo(kFloat, hn::PromoteTo(DI(), hn::LoadU(hn::Rebind<T, DI>(), p)));
}

// One vector: to nearest even after the division, which is rounded to float; NaN gives the lowest value.
template <class T>
HWY_INLINE void quantize_vector(VF x, VF scale, VF zero, T* y) {
  const VF low = hn::Set(kFloat, float(std::numeric_limits<T>::min())),
           high = hn::Set(kFloat, float(std::numeric_limits<T>::max()));
  const VF v = hn::Add(hn::Round(hn::Div(x, scale)), zero);
  const auto whole = hn::NearestInt(hn::IfThenElse(hn::Gt(v, low), hn::Min(v, high), low));
  hn::StoreU(hn::DemoteTo(hn::Rebind<T, DI>(), whole), hn::Rebind<T, DI>(), y);
}

// Calls f(i, left) for each vector of n; `left` is 0 for a whole one.
template <class F>
HWY_INLINE void each_vector(int64_t n, const F& f) {
  const int64_t lanes = int64_t(hn::Lanes(kFloat));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, size_t(0));
  if (i < n) f(i, size_t(n - i) % HWY_LANES(float));  // said so that the compiler sees the bound
}

// n elements; scales[0], zeros[0] for all (kEach false) or one for each.
template <class T, bool kEach>
void quantize_run(const float* x, int64_t n, const float* scales, const T* zeros, T* y) {
  HWY_ALIGN T buffer[HWY_LANES(float)] = {};
  each_vector(n, [&](int64_t i, size_t left) HWY_ATTR {
    const auto floats = [&](const float* p) HWY_ATTR {
      return left ? load_n(kFloat, p + i, left) : hn::LoadU(kFloat, p + i);
    };
    VF scale = hn::Set(kFloat, scales[0]), zero = hn::Set(kFloat, zeros ? float(zeros[0]) : 0.0f);
    if constexpr (kEach) {
      scale = floats(scales);
      if (zeros) {
        if (left) {
          std::memcpy(buffer, zeros + i, left * sizeof(T));
          zero = load_ints(buffer);
        } else {
          zero = load_ints(zeros + i);
        }
      }
    }
    quantize_vector(floats(x), scale, zero, left ? buffer : y + i);
    if (left) std::memcpy(y + i, buffer, left * sizeof(T));
  });
}

// (x - zero) * scale; the difference of what has 16 bits or fewer is exact in float.
template <class T, bool kEach>
void dequantize_run(const T* x, int64_t n, const float* scales, const T* zeros, float* y) {
  if constexpr (sizeof(T) == 4) {  // in double, as these differences have more digits than a float
    for (int64_t i = 0; i < n; ++i)
      y[i] =
          float((double(x[i]) - double(zeros ? zeros[kEach ? i : 0] : T(0))) * double(scales[kEach ? i : 0]));
  } else {
    HWY_ALIGN T buffer[HWY_LANES(float)] = {};
    each_vector(n, [&](int64_t i, size_t left) HWY_ATTR {
      const auto whole = [&](const T* p) HWY_ATTR {
        if (!left) return load_ints(p + i);
        std::memcpy(buffer, p + i, left * sizeof(T));
        return load_ints(buffer);
      };
      VF scale = hn::Set(kFloat, scales[0]), zero = hn::Set(kFloat, zeros ? float(zeros[0]) : 0.0f);
      if constexpr (kEach) {
        scale = left ? load_n(kFloat, scales + i, left) : hn::LoadU(kFloat, scales + i);
        if (zeros) zero = whole(zeros);
      }
      const VF v = hn::Mul(hn::Sub(whole(x), zero), scale);
      if (left)
        store_n(v, kFloat, y + i, left);
      else
        hn::StoreU(v, kFloat, y + i);
    });
  }
}

// Calls run(offset, n, index of the first scale, one scale for each element?) over pieces of the whole.
template <class F>
void each_run(ThreadPool& pool, const QuantizeDesc& d, const F& run) {
  const int64_t elements = d.outer * d.size * d.inner;
  if (elements == 0) return;
  if (d.size == 1) {
    parallel_ranges(pool, elements, 1,
                    [&](int64_t begin, int64_t end, int) { run(begin, end - begin, int64_t(0), false); });
  } else if (d.inner == 1) {
    parallel_ranges(pool, d.outer, d.size, [&](int64_t begin, int64_t end, int) {
      for (int64_t o = begin; o < end; ++o) run(o * d.size, d.size, int64_t(0), true);
    });
  } else {
    parallel_ranges(pool, d.outer * d.size, d.inner, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) run(r * d.inner, d.inner, r % d.size, false);
    });
  }
}

template <class T>
void quantize_typed(ThreadPool& pool, const QuantizeDesc& d, const float* x, const float* scale,
                    const void* zero, void* y) {
  const T* zeros = static_cast<const T*>(zero);
  each_run(pool, d, [&](int64_t at, int64_t n, int64_t k, bool each) {
    const auto f = each ? quantize_run<T, true> : quantize_run<T, false>;
    f(x + at, n, scale + k, zeros ? zeros + k : nullptr, static_cast<T*>(y) + at);
  });
}
template <class T>
void dequantize_typed(ThreadPool& pool, const QuantizeDesc& d, const void* x, const float* scale,
                      const void* zero, float* y) {
  const T* zeros = static_cast<const T*>(zero);
  each_run(pool, d, [&](int64_t at, int64_t n, int64_t k, bool each) {
    const auto f = each ? dequantize_run<T, true> : dequantize_run<T, false>;
    f(static_cast<const T*>(x) + at, n, scale + k, zeros ? zeros + k : nullptr, y + at);
  });
}

}  // namespace

void quantize_of_target(ThreadPool& pool, const QuantizeDesc& d, const float* x, const float* scale,
                        const void* zero, void* y) {
  switch (d.type) {
    case DType::u8:
      return quantize_typed<uint8_t>(pool, d, x, scale, zero, y);
    case DType::i8:
      return quantize_typed<int8_t>(pool, d, x, scale, zero, y);
    case DType::u16:
      return quantize_typed<uint16_t>(pool, d, x, scale, zero, y);
    default:
      return quantize_typed<int16_t>(pool, d, x, scale, zero, y);
  }
}
void dequantize_of_target(ThreadPool& pool, const QuantizeDesc& d, const void* x, const float* scale,
                          const void* zero, float* y) {
  switch (d.type) {
    case DType::u8:
      return dequantize_typed<uint8_t>(pool, d, x, scale, zero, y);
    case DType::i8:
      return dequantize_typed<int8_t>(pool, d, x, scale, zero, y);
    case DType::u16:
      return dequantize_typed<uint16_t>(pool, d, x, scale, zero, y);
    case DType::i16:
      return dequantize_typed<int16_t>(pool, d, x, scale, zero, y);
    default:
      return dequantize_typed<int32_t>(pool, d, x, scale, zero, y);
  }
}

void range_of_target(const float* x, int64_t n, Range* range) {
  VF low = hn::Set(kFloat, range->low), high = hn::Set(kFloat, range->high);
  each_vector(n, [&](int64_t i, size_t left) HWY_ATTR {
    const VF v = left ? load_n(kFloat, x + i, left) : hn::LoadU(kFloat, x + i);
    low = hn::IfThenElse(hn::Lt(v, low), v, low);
    high = hn::IfThenElse(hn::Gt(v, high), v, high);
  });
  range->low = hn::GetLane(hn::MinOfLanes(kFloat, low));
  range->high = hn::GetLane(hn::MaxOfLanes(kFloat, high));
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {

HWY_EXPORT(quantize_of_target);
HWY_EXPORT(dequantize_of_target);
HWY_EXPORT(range_of_target);

bool quantize_holds(DType t) {
  return t == DType::u8 || t == DType::i8 || t == DType::u16 || t == DType::i16;
}
bool dequantize_holds(DType t) {
  return quantize_holds(t) || t == DType::i32;
}

void quantize_linear(ThreadPool& pool, const QuantizeDesc& d, const float* x, const float* scale,
                     const void* zero, void* y) {
  HWY_DYNAMIC_DISPATCH(quantize_of_target)(pool, d, x, scale, zero, y);
}
void dequantize_linear(ThreadPool& pool, const QuantizeDesc& d, const void* x, const float* scale,
                       const void* zero, float* y) {
  HWY_DYNAMIC_DISPATCH(dequantize_of_target)(pool, d, x, scale, zero, y);
}

Range range_with_zero(ThreadPool& pool, const float* x, int64_t n, Range* scratch) {
  std::fill_n(scratch, pool.threads(), Range());
  parallel_ranges(pool, n, 1, [&](int64_t begin, int64_t end, int worker) {
    HWY_DYNAMIC_DISPATCH(range_of_target)(x + begin, end - begin, scratch + worker);
  });
  Range all;
  for (int i = 0; i < pool.threads(); ++i) {
    all.low = std::min(all.low, scratch[i].low);
    all.high = std::max(all.high, scratch[i].high);
  }
  return all;
}

}  // namespace tenon::cpu
#endif
