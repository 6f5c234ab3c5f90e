#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/softmax.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <type_traits>

#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/softmax.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// Calls f(i, full vector?, lanes left) over n elements.
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

// The maximum that keeps a NaN.
HWY_INLINE VF max_keep(VF a, VF x) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, x)); }

// One row. `work` holds n floats and may be y itself when that is f32.
template <class T>
void softmax_row(const SoftmaxDesc& k, const T* x, const T* mask, T* y, float* work) {
  const DF d;
  const int64_t n = k.n, lanes = int64_t(hn::Lanes(d));
  const VF low = hn::Neg(hn::Inf(d)), scale = hn::Set(d, k.scale);
  const bool plain = std::is_same_v<T, float> && !mask && k.scale == 1;
  VF m0 = low, m1 = low;
  if (plain) {
    // The row itself is the work row's source; two running maxima hide the latency.
    const auto* in = reinterpret_cast<const float*>(x);
    int64_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      m0 = max_keep(m0, hn::LoadU(d, in + i));
      m1 = max_keep(m1, hn::LoadU(d, in + i + lanes));
    }
    for (; i + lanes <= n; i += lanes) m0 = max_keep(m0, hn::LoadU(d, in + i));
    if (i < n) m1 = max_keep(m1, hn::IfThenElse(hn::FirstN(d, size_t(n - i)), load_n(d, in + i, size_t(n - i)), low));
  } else {
    over(n, [&](int64_t i, auto full, size_t r) HWY_ATTR {
      VF v = hn::Mul(get(x + i, full, r), scale);
      if (mask) v = hn::Add(v, get(mask + i, full, r));
      put(v, work + i, full, r);
      if (!decltype(full)::value) v = hn::IfThenElse(hn::FirstN(d, r), v, low);
      m0 = max_keep(m0, v);
    });
  }
  m0 = max_keep(m0, m1);
  const VF m = hn::AllFalse(d, hn::IsNaN(m0)) ? hn::MaxOfLanes(d, m0) : hn::NaN(d);
  const float* from = plain ? reinterpret_cast<const float*>(x) : work;
  VF s0 = hn::Zero(d), s1 = s0;
  const bool log = k.log;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const VF a = exp_nonpositive(d, hn::Sub(hn::LoadU(d, from + i), m));
    const VF b = exp_nonpositive(d, hn::Sub(hn::LoadU(d, from + i + lanes), m));
    if (!log) hn::StoreU(a, d, work + i), hn::StoreU(b, d, work + i + lanes);
    s0 = hn::Add(s0, a);
    s1 = hn::Add(s1, b);
  }
  for (; i < n; i += lanes) {
    const size_t r = size_t(std::min(lanes, n - i));
    VF a = exp_nonpositive(d, hn::Sub(int64_t(r) == lanes ? hn::LoadU(d, from + i) : load_n(d, from + i, r), m));
    if (int64_t(r) < lanes) a = hn::IfThenElseZero(hn::FirstN(d, r), a);
    if (!log) {
      if (int64_t(r) == lanes) hn::StoreU(a, d, work + i);
      else store_n(a, d, work + i, r);
    }
    s0 = hn::Add(s0, a);
  }
  const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  if (log) {
    const VF shift = hn::Set(d, float(std::log(double(sum))));
    over(n, [&](int64_t j, auto full, size_t r) HWY_ATTR {
      put(hn::Sub(hn::Sub(get(from + j, full, r), m), shift), y + j, full, r);
    });
  } else {
    const VF inverse = hn::Set(d, 1.0f / sum);
    over(n, [&](int64_t j, auto full, size_t r) HWY_ATTR { put(hn::Mul(get(work + j, full, r), inverse), y + j, full, r); });
  }
}

// A strip of up to kVectors vectors of columns, n rows of them `inner` apart.
template <int kVectors, class T>
HWY_INLINE void softmax_columns(const SoftmaxDesc& k, const T* x, T* y, size_t r) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  auto at = [&](const T* row, int v) HWY_ATTR {
    return r && v == kVectors - 1 ? load_f32_n(d, row + v * lanes, r) : load_f32(d, row + v * lanes);
  };
  auto to = [&](VF value, T* row, int v) HWY_ATTR {
    if (r && v == kVectors - 1) store_f32_n(value, d, row + v * lanes, r);
    else store_f32(value, d, row + v * lanes);
  };
  VF m[kVectors], s[kVectors];
  for (int v = 0; v < kVectors; ++v) m[v] = hn::Neg(hn::Inf(d)), s[v] = hn::Zero(d);
  for (int64_t i = 0; i < k.n; ++i)
    for (int v = 0; v < kVectors; ++v) m[v] = max_keep(m[v], at(x + i * k.inner, v));
  const bool keep = std::is_same_v<T, float> && !k.log;  // y can hold the exponentials without loss
  for (int64_t i = 0; i < k.n; ++i)
    for (int v = 0; v < kVectors; ++v) {
      const VF e = exp_nonpositive(d, hn::Sub(at(x + i * k.inner, v), m[v]));
      if (keep) to(e, y + i * k.inner, v);
      s[v] = hn::Add(s[v], e);
    }
  for (int v = 0; v < kVectors; ++v) s[v] = k.log ? log_f32(d, s[v]) : hn::Div(hn::Set(d, 1.0f), s[v]);
  for (int64_t i = 0; i < k.n; ++i)
    for (int v = 0; v < kVectors; ++v) {
      if (keep) {
        to(hn::Mul(at(y + i * k.inner, v), s[v]), y + i * k.inner, v);
        continue;
      }
      const VF shifted = hn::Sub(at(x + i * k.inner, v), m[v]);
      to(k.log ? hn::Sub(shifted, s[v]) : hn::Mul(exp_nonpositive(d, shifted), s[v]), y + i * k.inner, v);
    }
}

template <class T>
void run_typed(ThreadPool& pool, const SoftmaxDesc& k, const T* x, const T* mask, T* y, float* scratch) {
  if (k.n == 0) return;
  if (k.inner == 1) {
    parallel_ranges(pool, k.outer, k.n * 4 + 16, [&](int64_t begin, int64_t end, int worker) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) {
        const T* m = nullptr;
        if (mask) {
          const int64_t last = row % k.row_dims[2], rest = row / k.row_dims[2];
          m = mask + last * k.mask_strides[2] + rest % k.row_dims[1] * k.mask_strides[1] + rest / k.row_dims[1] * k.mask_strides[0];
        }
        float* work = std::is_same_v<T, float> ? reinterpret_cast<float*>(y + row * k.n) : scratch + worker * k.n;
        softmax_row(k, x + row * k.n, m, y + row * k.n, work);
      }
    });
    return;
  }
  constexpr int64_t kStrip = 64;
  const int64_t strips = (k.inner + kStrip - 1) / kStrip, lanes = int64_t(hn::Lanes(DF()));
  parallel_ranges(pool, k.outer * strips, k.n * std::min(kStrip, k.inner) * 4, [&](int64_t begin, int64_t end, int) HWY_ATTR {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t base = t / strips * k.n * k.inner;
      int64_t i = t % strips * kStrip;
      const int64_t last = std::min(k.inner, i + kStrip);
      for (; i + 4 * lanes <= last; i += 4 * lanes) softmax_columns<4>(k, x + base + i, y + base + i, 0);
      for (; i + lanes <= last; i += lanes) softmax_columns<1>(k, x + base + i, y + base + i, 0);
      if (i < last) softmax_columns<1>(k, x + base + i, y + base + i, size_t(last - i));
    }
  });
}

void run_softmax(ThreadPool& pool, const SoftmaxDesc& k, const void* x, const void* mask, void* y, float* scratch) {
  auto go = [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    run_typed(pool, k, static_cast<const T*>(x), static_cast<const T*>(mask), static_cast<T*>(y), scratch);
  };
  if (k.type == DType::f32) go(static_cast<float*>(nullptr));
  else if (k.type == DType::f16) go(static_cast<float16_t*>(nullptr));
  else if (k.type == DType::bf16) go(static_cast<bfloat16_t*>(nullptr));
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(run_softmax);

size_t softmax_scratch_bytes(const SoftmaxDesc& desc, int threads) {
  return desc.type != DType::f32 && desc.inner == 1 ? size_t(desc.n) * size_t(threads) * sizeof(float) + 64 : 0;
}
void softmax(ThreadPool& pool, const SoftmaxDesc& desc, const void* x, const void* mask, void* y, void* scratch) {
  HWY_DYNAMIC_DISPATCH(run_softmax)(pool, desc, x, mask, y, reinterpret_cast<float*>(align64(scratch)));
}
}  // namespace tenon::cpu
#endif
