#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/norm.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "backend/cpu/kernels/norm.h"
#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// Calls f(i, full vector?, lanes) over n elements.
template <class F>
HWY_INLINE void over(int64_t n, F f) {
  const int64_t lanes = int64_t(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, std::true_type(), size_t(lanes));
  if (i < n) f(i, std::false_type(), size_t(n - i));
}
template <class T, class Full>
HWY_INLINE VF get(const T* p, Full, size_t r) {
  if constexpr (Full::value) return load_f32(DF(), p);
  else return load_f32_n(DF(), p, r);
}
template <class T, class Full>
HWY_INLINE void put(VF v, T* p, Full, size_t r) {
  if constexpr (Full::value) store_f32(v, DF(), p);
  else store_f32_n(v, DF(), p, r);
}

// Sum of (x - mean)^2, or of x when mean is null; blocks of four accumulators joined in double.
template <class T>
double sum_of(const T* x, int64_t n, const float* mean) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const VF m = mean ? hn::Set(d, *mean) : hn::Zero(d);
  const bool square = mean != nullptr;
  auto add = [&](VF a, VF v) HWY_ATTR {
    const VF c = hn::Sub(v, m);
    return square ? hn::MulAdd(c, c, a) : hn::Add(a, v);
  };
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    const int64_t end = std::min(n, begin + 4096);
    VF a = hn::Zero(d), b = a, c = a, e = a;
    int64_t i = begin;
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      a = add(a, load_f32(d, x + i));
      b = add(b, load_f32(d, x + i + lanes));
      c = add(c, load_f32(d, x + i + 2 * lanes));
      e = add(e, load_f32(d, x + i + 3 * lanes));
    }
    for (; i + lanes <= end; i += lanes) a = add(a, load_f32(d, x + i));
    if (i < end) {
      const size_t r = size_t(end - i);
      b = hn::IfThenElse(hn::FirstN(d, r), add(b, load_f32_n(d, x + i, r)), b);
    }
    total += double(hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e)))));
  }
  return total;
}

template <class T, class P>
void layer_norm_row(const LayerNormDesc& k, const LayerNormArgs& g, int64_t row, float* work) {
  const DF d;
  const int64_t n = k.n;
  const auto* x = static_cast<const T*>(g.x) + row * n;
  auto* y = static_cast<T*>(g.y) + row * n;
  auto* sum = static_cast<T*>(g.sum);
  const float* values;
  if (!g.residual && std::is_same_v<T, float>) {
    values = reinterpret_cast<const float*>(x);
    if (sum) std::memmove(static_cast<void*>(sum + row * n), x, size_t(n) * sizeof(T));
  } else {
    const auto* residual = static_cast<const T*>(g.residual);
    over(n, [&](int64_t i, auto full, size_t r) HWY_ATTR {
      VF v = get(x + i, full, r);
      if (residual) v = hn::Add(v, get(residual + row * n + i, full, r));
      if (sum) put(v, sum + row * n + i, full, r);
      put(v, work + i, full, r);
    });
    values = work;
  }
  const float mean = k.rms ? 0 : float(sum_of(values, n, nullptr) / double(n));
  const float zero = 0;
  const double variance = sum_of(values, n, k.rms ? &zero : &mean) / double(n);
  const float inverse = float(1 / std::sqrt(variance + double(k.epsilon)));
  if (g.mean) g.mean[row] = mean;
  if (g.inv_std) g.inv_std[row] = inverse;
  const VF m = hn::Set(d, mean), s = hn::Set(d, inverse);
  const auto *scale = static_cast<const P*>(g.scale), *bias = static_cast<const P*>(g.bias);
  over(n, [&](int64_t i, auto full, size_t r) HWY_ATTR {
    VF v = hn::Mul(hn::Sub(get(values + i, full, r), m), s);
    if (scale && bias) v = hn::MulAdd(v, get(scale + i, full, r), get(bias + i, full, r));
    else if (scale) v = hn::Mul(v, get(scale + i, full, r));
    else if (bias) v = hn::Add(v, get(bias + i, full, r));
    put(v, y + i, full, r);
  });
}

template <class F>
void with_type(DType t, F f) {
  if (t == DType::f32) f(static_cast<float*>(nullptr));
  else if (t == DType::f16) f(static_cast<float16_t*>(nullptr));
  else if (t == DType::bf16) f(static_cast<bfloat16_t*>(nullptr));
}

void run_layer_norm(ThreadPool& pool, const LayerNormDesc& k, const LayerNormArgs& g, float* scratch) {
  with_type(k.type, [&](auto* t) {
    with_type(k.param_type, [&](auto* p) {
      using T = std::remove_pointer_t<decltype(t)>;
      using P = std::remove_pointer_t<decltype(p)>;
      parallel_ranges(pool, k.rows, k.n * 2 + 16, [&](int64_t begin, int64_t end, int worker) HWY_ATTR {
        for (int64_t row = begin; row < end; ++row) layer_norm_row<T, P>(k, g, row, scratch + worker * k.n);
      });
    });
  });
}

// y = x * a + b over n adjacent elements.
template <class T>
HWY_INLINE void affine_row(const T* x, T* y, int64_t n, float a, float b) {
  const DF d;
  const VF va = hn::Set(d, a), vb = hn::Set(d, b);
  over(n, [&](int64_t i, auto full, size_t r) HWY_ATTR { put(hn::MulAdd(get(x + i, full, r), va, vb), y + i, full, r); });
}
template <class T>
HWY_INLINE float one(const T* p) {
  if constexpr (std::is_same_v<T, float>) {
    return *p;
  } else {
    uint16_t raw;
    std::memcpy(&raw, p, 2);
    return std::is_same_v<T, float16_t> ? f16_to_f32(raw) : bf16_to_f32(raw);
  }
}

void run_group_norm(ThreadPool& pool, const GroupNormDesc& k, const void* x, const void* scale, const void* bias, void* y) {
  with_type(k.type, [&](auto* t) {
    using T = std::remove_pointer_t<decltype(t)>;
    const int64_t channels = k.channels / k.groups, n = channels * k.inner;
    parallel_ranges(pool, k.batch * k.groups, n * 2 + 16, [&](int64_t begin, int64_t end, int) HWY_ATTR {
      for (int64_t t2 = begin; t2 < end; ++t2) {
        const T* in = static_cast<const T*>(x) + t2 * n;
        T* out = static_cast<T*>(y) + t2 * n;
        const float mean = float(sum_of(in, n, nullptr) / double(n));
        const double variance = sum_of(in, n, &mean) / double(n);
        const float inverse = float(1 / std::sqrt(variance + double(k.epsilon)));
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t channel = t2 % k.groups * channels + c;
          const float a = inverse * (scale ? one(static_cast<const T*>(scale) + channel) : 1);
          const float b = bias ? one(static_cast<const T*>(bias) + channel) : 0;
          const DF d;
          const VF m = hn::Set(d, mean), va = hn::Set(d, a), vb = hn::Set(d, b);
          over(k.inner, [&](int64_t i, auto full, size_t r) HWY_ATTR {
            put(hn::MulAdd(hn::Sub(get(in + c * k.inner + i, full, r), m), va, vb), out + c * k.inner + i, full, r);
          });
        }
      }
    });
  });
}

void run_channel_affine(ThreadPool& pool, const ChannelAffineDesc& k, const void* x, const float* scale, const float* bias, void* y) {
  with_type(k.type, [&](auto* t) {
    using T = std::remove_pointer_t<decltype(t)>;
    const auto* in = static_cast<const T*>(x);
    auto* out = static_cast<T*>(y);
    if (k.inner == 1) {
      parallel_ranges(pool, k.outer, k.channels, [&](int64_t begin, int64_t end, int) HWY_ATTR {
        for (int64_t o = begin; o < end; ++o)
          over(k.channels, [&](int64_t i, auto full, size_t r) HWY_ATTR {
            put(hn::MulAdd(get(in + o * k.channels + i, full, r), get(scale + i, full, r), get(bias + i, full, r)),
                out + o * k.channels + i, full, r);
          });
      });
      return;
    }
    parallel_ranges(pool, k.outer * k.channels, k.inner, [&](int64_t begin, int64_t end, int) HWY_ATTR {
      for (int64_t oc = begin; oc < end; ++oc)
        affine_row(in + oc * k.inner, out + oc * k.inner, k.inner, scale[oc % k.channels], bias[oc % k.channels]);
    });
  });
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(run_layer_norm);
HWY_EXPORT(run_group_norm);
HWY_EXPORT(run_channel_affine);

size_t layer_norm_scratch_bytes(const LayerNormDesc& desc, int threads) {
  return size_t(desc.n) * size_t(threads) * sizeof(float) + 64;
}
void layer_norm(ThreadPool& pool, const LayerNormDesc& desc, const LayerNormArgs& args, void* scratch) {
  HWY_DYNAMIC_DISPATCH(run_layer_norm)(pool, desc, args, reinterpret_cast<float*>(align64(scratch)));
}
void group_norm(ThreadPool& pool, const GroupNormDesc& desc, const void* x, const void* scale, const void* bias, void* y) {
  if (desc.channels == 0 || desc.inner == 0) return;
  HWY_DYNAMIC_DISPATCH(run_group_norm)(pool, desc, x, scale, bias, y);
}
void channel_affine(ThreadPool& pool, const ChannelAffineDesc& desc, const void* x, const float* scale, const float* bias,
                    void* y) {
  HWY_DYNAMIC_DISPATCH(run_channel_affine)(pool, desc, x, scale, bias, y);
}
}  // namespace tenon::cpu
#endif
