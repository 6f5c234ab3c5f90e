#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pool.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/pool.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// The taps of one window in one dim that fall on data, and how many count as divisor.
struct Span {
  int64_t first, count, start, divisor;  // taps [first, first + count), input place of tap `first`
};
HWY_INLINE Span span(int64_t out, int64_t stride, int64_t pad_before, int64_t pad_after, int64_t kernel, int64_t dilation,
                     int64_t size, bool include_pad) {
  const int64_t begin = out * stride - pad_before;
  int64_t first = begin < 0 ? (-begin + dilation - 1) / dilation : 0;
  first = std::min(first, kernel);
  int64_t last = begin >= size ? 0 : std::min(kernel, (size - 1 - begin) / dilation + 1);
  last = std::max(last, first);
  int64_t divisor = last - first;
  // Places between the data's end and the padding's end count; beyond the padding (ceil_mode) they do not.
  if (include_pad) divisor = begin >= size + pad_after ? 0 : std::min(kernel, (size + pad_after - 1 - begin) / dilation + 1);
  return {first, last - first, begin + first * dilation, divisor};
}

HWY_INLINE VF max_keep(VF a, VF x) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, x)); }
template <bool kMax>
HWY_INLINE VF join(VF a, VF x) {
  if constexpr (kMax) return max_keep(a, x);
  else return hn::Add(a, x);
}
template <bool kMax>
HWY_INLINE VF neutral() {
  return kMax ? hn::Neg(hn::Inf(DF())) : hn::Zero(DF());
}

// ---- channels last: vectors of channels over the window's taps -------------------------------------------------------

template <bool kMax, int kVectors, class T>
HWY_INLINE void window(const PoolDesc& k, const Span& sh, const Span& sw, const T* x, T* y, float factor, size_t r) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  VF a[kVectors];
  for (int v = 0; v < kVectors; ++v) a[v] = neutral<kMax>();
  for (int64_t i = 0; i < sh.count; ++i) {
    const T* p = x + ((sh.start + i * k.dilation_h) * k.w + sw.start) * k.channels;
    for (int64_t j = 0; j < sw.count; ++j, p += k.dilation_w * k.channels)
      for (int v = 0; v < kVectors; ++v)
        a[v] = join<kMax>(a[v], r && v == kVectors - 1 ? load_f32_n(d, p + v * lanes, r) : load_f32(d, p + v * lanes));
  }
  for (int v = 0; v < kVectors; ++v) {
    const VF value = kMax ? a[v] : hn::Mul(a[v], hn::Set(d, factor));
    if (r && v == kVectors - 1) store_f32_n(value, d, y + v * lanes, r);
    else store_f32(value, d, y + v * lanes);
  }
}

template <bool kMax, class T>
void channels_last(ThreadPool& pool, const PoolDesc& k, const T* x, T* y) {
  const int64_t lanes = int64_t(hn::Lanes(DF())), c = k.channels, ld_out = k.ld_out ? k.ld_out : c;
  parallel_ranges(pool, k.batch * k.out_h, k.out_w * c * k.kernel_h * k.kernel_w / 2, [&](int64_t begin, int64_t end, int) HWY_ATTR {
    for (int64_t t = begin; t < end; ++t) {
      const Span sh = span(t % k.out_h, k.stride_h, k.pad_top, k.pad_bottom, k.kernel_h, k.dilation_h, k.h, k.count_include_pad);
      const T* in = x + t / k.out_h * k.h * k.w * c;
      for (int64_t ow = 0; ow < k.out_w; ++ow) {
        const Span sw = span(ow, k.stride_w, k.pad_left, k.pad_right, k.kernel_w, k.dilation_w, k.w, k.count_include_pad);
        T* out = y + (t * k.out_w + ow) * ld_out;
        const int64_t divisor = sh.divisor * sw.divisor;
        const float factor = divisor > 0 ? 1.0f / float(divisor) : 0.0f;
        int64_t i = 0;
        for (; i + 4 * lanes <= c; i += 4 * lanes) window<kMax, 4>(k, sh, sw, in + i, out + i, factor, 0);
        for (; i + lanes <= c; i += lanes) window<kMax, 1>(k, sh, sw, in + i, out + i, factor, 0);
        if (i < c) window<kMax, 1>(k, sh, sw, in + i, out + i, factor, size_t(c - i));
      }
    }
  });
}

// Bytes: the maximum in their own type.
template <class T>
void channels_last_bytes(ThreadPool& pool, const PoolDesc& k, const T* x, T* y) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d)), c = k.channels, ld_out = k.ld_out ? k.ld_out : c;
  parallel_ranges(pool, k.batch * k.out_h, k.out_w * c * k.kernel_h * k.kernel_w / 8, [&](int64_t begin, int64_t end, int) HWY_ATTR {
    for (int64_t t = begin; t < end; ++t) {
      const Span sh = span(t % k.out_h, k.stride_h, k.pad_top, k.pad_bottom, k.kernel_h, k.dilation_h, k.h, false);
      const T* in = x + t / k.out_h * k.h * k.w * c;
      for (int64_t ow = 0; ow < k.out_w; ++ow) {
        const Span sw = span(ow, k.stride_w, k.pad_left, k.pad_right, k.kernel_w, k.dilation_w, k.w, false);
        T* out = y + (t * k.out_w + ow) * ld_out;
        for (int64_t i = 0; i < c; i += lanes) {
          const size_t r = size_t(std::min(lanes, c - i));
          const bool full = int64_t(r) == lanes;
          auto a = hn::Set(d, std::numeric_limits<T>::lowest());
          for (int64_t p = 0; p < sh.count; ++p)
            for (int64_t q = 0; q < sw.count; ++q) {
              const T* at = in + ((sh.start + p * k.dilation_h) * k.w + sw.start + q * k.dilation_w) * c + i;
              a = hn::Max(a, full ? hn::LoadU(d, at) : load_n(d, at, r));
            }
          if (full) hn::StoreU(a, d, out + i);
          else store_n(a, d, out + i, r);
        }
      }
    }
  });
}

// ---- channels first: the window joined along h into one padded row, then along w --------------------------------------

// Floats in a work row: the padded input row, room for a vector past its end, and the output row.
inline int64_t row_floats(const PoolDesc& k) {
  const int64_t reach = (k.out_w - 1) * k.stride_w + (k.kernel_w - 1) * k.dilation_w + 1;
  return std::max(reach, k.pad_left + k.w) + 4 * 64;
}

template <class T>
HWY_INLINE VF load_any(const T* p, size_t r, bool full) {
  const DF d;
  if constexpr (sizeof(T) == 1) {
    HWY_ALIGN float buffer[HWY_LANES(float)] = {};
    for (size_t i = 0; i < r; ++i) buffer[i] = float(p[i]);
    return hn::Load(d, buffer);
  } else {
    return full ? load_f32(d, p) : load_f32_n(d, p, r);
  }
}

// Output rows taken together: the pass along w reads rows that were stored a while ago, not just now.
constexpr int64_t kBand = 8;
// Floats of an output row's factors and of its values before they are narrowed.
inline int64_t out_floats(const PoolDesc& k) { return (k.out_w + 127) / 64 * 64; }
int64_t work_floats(const PoolDesc& k) { return kBand * row_floats(k) + 2 * out_floats(k); }

// One row of outputs from a padded row.
template <bool kMax>
HWY_INLINE void along_w(const PoolDesc& k, const float* row, float* out) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  if (k.stride_w == 1) {
    for (int64_t o = 0; o < k.out_w; o += lanes) {
      VF a = hn::LoadU(d, row + o);
      for (int64_t q = 1; q < k.kernel_w; ++q) a = join<kMax>(a, hn::LoadU(d, row + o + q * k.dilation_w));
      hn::StoreU(a, d, out + o);
    }
  } else if (k.stride_w == 2) {
    for (int64_t o = 0; o < k.out_w; o += lanes) {
      VF a = neutral<kMax>();
      for (int64_t q = 0; q < k.kernel_w; ++q) {
        const float* p = row + 2 * o + q * k.dilation_w;
        a = join<kMax>(a, hn::ConcatEven(d, hn::LoadU(d, p + lanes), hn::LoadU(d, p)));
      }
      hn::StoreU(a, d, out + o);
    }
  } else {
    for (int64_t o = 0; o < k.out_w; ++o) {
      float a = row[o * k.stride_w];
      for (int64_t q = 1; q < k.kernel_w; ++q) {
        const float v = row[o * k.stride_w + q * k.dilation_w];
        a = kMax ? (a != a || a > v ? a : v) : a + v;
      }
      out[o] = a;
    }
  }
}

template <bool kMax, class T>
void channels_first(ThreadPool& pool, const PoolDesc& k, const T* x, T* y, float* scratch) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d)), length = row_floats(k);
  const int64_t bands = (k.out_h + kBand - 1) / kBand;
  parallel_ranges(pool, k.batch * k.channels * bands, (k.w * k.kernel_h + k.out_w * k.kernel_w) * std::min(kBand, k.out_h),
                  [&](int64_t begin, int64_t end, int worker) HWY_ATTR {
    float* rows = scratch + worker * work_floats(k);
    float* factors = rows + kBand * length;  // what a column's taps are divided by
    float* values = factors + out_floats(k);
    std::fill(rows, rows + kBand * length, kMax ? -std::numeric_limits<float>::infinity() : 0.0f);
    for (int64_t o = 0; !kMax && o < k.out_w; ++o) {
      const int64_t n = span(o, k.stride_w, k.pad_left, k.pad_right, k.kernel_w, k.dilation_w, k.w, k.count_include_pad).divisor;
      factors[o] = n > 0 ? 1.0f / float(n) : 0.0f;
    }
    for (int64_t t = begin; t < end; ++t) {
      const int64_t plane = t / bands, first = t % bands * kBand, count = std::min(kBand, k.out_h - first);
      float divisors[kBand];
      for (int64_t b = 0; b < count; ++b) {
        const Span sh = span(first + b, k.stride_h, k.pad_top, k.pad_bottom, k.kernel_h, k.dilation_h, k.h, k.count_include_pad);
        divisors[b] = sh.divisor > 0 ? 1.0f / float(sh.divisor) : 0.0f;
        const T* in = x + (plane * k.h + sh.start) * k.w;
        float* data = rows + b * length + k.pad_left;
        for (int64_t i = 0; i < k.w; i += lanes) {
          const size_t r = size_t(std::min(lanes, k.w - i));
          const bool full = int64_t(r) == lanes;
          VF a = neutral<kMax>();
          for (int64_t p = 0; p < sh.count; ++p) a = join<kMax>(a, load_any(in + p * k.dilation_h * k.w + i, r, full));
          if (full) hn::StoreU(a, d, data + i);
          else store_n(a, d, data + i, r);
        }
      }
      for (int64_t b = 0; b < count; ++b) {
        along_w<kMax>(k, rows + b * length, values);
        const VF factor = hn::Set(d, divisors[b]);
        T* out = y + (plane * k.out_h + first + b) * k.out_w;
        if constexpr (sizeof(T) == 1) {
          for (int64_t o = 0; o < k.out_w; ++o) out[o] = T(std::max(values[o], float(std::numeric_limits<T>::lowest())));
        } else {
          for (int64_t o = 0; o < k.out_w; o += lanes) {
            VF v = hn::LoadU(d, values + o);
            if (!kMax) v = hn::Mul(v, hn::Mul(hn::LoadU(d, factors + o), factor));
            if (o + lanes <= k.out_w) store_f32(v, d, out + o);
            else store_f32_n(v, d, out + o, size_t(k.out_w - o));
          }
        }
      }
    }
  });
}

template <class T>
void run_typed(ThreadPool& pool, const PoolDesc& k, const void* x, void* y, float* scratch) {
  const auto* in = static_cast<const T*>(x);
  auto* out = static_cast<T*>(y);
  if constexpr (sizeof(T) == 1) {
    if (k.channels_last) channels_last_bytes(pool, k, in, out);
    else channels_first<true>(pool, k, in, out, scratch);
  } else {
    if (k.channels_last && k.max) channels_last<true>(pool, k, in, out);
    else if (k.channels_last) channels_last<false>(pool, k, in, out);
    else if (k.max) channels_first<true>(pool, k, in, out, scratch);
    else channels_first<false>(pool, k, in, out, scratch);
  }
}

void run_pool(ThreadPool& pool, const PoolDesc& k, const void* x, void* y, float* scratch) {
  switch (k.type) {
    case DType::f32: return run_typed<float>(pool, k, x, y, scratch);
    case DType::f16: return run_typed<float16_t>(pool, k, x, y, scratch);
    case DType::bf16: return run_typed<bfloat16_t>(pool, k, x, y, scratch);
    case DType::u8: return run_typed<uint8_t>(pool, k, x, y, scratch);
    case DType::i8: return run_typed<int8_t>(pool, k, x, y, scratch);
    default: return;
  }
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(run_pool);
HWY_EXPORT(work_floats);

bool pool_holds(const PoolDesc& k) {
  constexpr DTypeSet floats{DType::f32, DType::f16, DType::bf16}, bytes{DType::u8, DType::i8};
  return floats.contains(k.type) || (k.max && bytes.contains(k.type));
}
size_t pool_scratch_bytes(const PoolDesc& k, int threads) {
  return k.channels_last ? 0 : size_t(HWY_DYNAMIC_DISPATCH(work_floats)(k)) * size_t(threads) * sizeof(float) + 64;
}
void pool_2d(ThreadPool& pool, const PoolDesc& k, const void* x, void* y, void* scratch) {
  if (k.batch == 0 || k.channels == 0 || k.out_h == 0 || k.out_w == 0) return;
  HWY_DYNAMIC_DISPATCH(run_pool)(pool, k, x, y, reinterpret_cast<float*>(align64(scratch)));
}
}  // namespace tenon::cpu
#endif
