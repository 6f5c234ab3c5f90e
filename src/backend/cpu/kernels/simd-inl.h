// What all vector kernels share: partial loads and stores, and rows of f16 and bf16 seen as f32. For each target.
#if defined(TENON_CPU_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_CPU_SIMD_INL_H
#undef TENON_CPU_SIMD_INL_H
#else
#define TENON_CPU_SIMD_INL_H
#endif

#include <cstring>

#include "base/dtype.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using hwy::bfloat16_t;
using hwy::float16_t;

using DF = hn::ScalableTag<float>;
using DI = hn::ScalableTag<int32_t>;
using DU = hn::ScalableTag<uint32_t>;
using VF = hn::VFromD<DF>;

// Whether masked loads and stores leave alone what the mask excludes; AVX2 has them for words of 4 and 8 bytes.
template <class T>
inline constexpr bool kMaskedMemory = !HWY_MEM_OPS_MIGHT_FAULT || (HWY_TARGET == HWY_AVX2 && sizeof(T) >= 4);

// The first n lanes from memory, n < Lanes(d); the others are zero. Never touches what lies behind.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::VFromD<D> load_n(D d, const T* p, size_t n) {
  if constexpr (kMaskedMemory<T>) {
    return hn::MaskedLoad(hn::FirstN(d, n), d, p);
  } else {
    HWY_ALIGN T buffer[HWY_LANES(T)] = {};
    std::memcpy(static_cast<void*>(buffer), p, n * sizeof(T));
    return hn::Load(d, buffer);
  }
}
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_n(hn::VFromD<D> v, D d, T* p, size_t n) {
  if constexpr (kMaskedMemory<T>) {
    hn::BlendedStore(v, hn::FirstN(d, n), d, p);
  } else {
    HWY_ALIGN T buffer[HWY_LANES(T)];
    hn::Store(v, d, buffer);
    std::memcpy(static_cast<void*>(p), buffer, n * sizeof(T));
  }
}

// f32 lanes from memory of type f32, f16 or bf16.
template <class D>
HWY_INLINE hn::VFromD<D> load_f32(D d, const float* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::VFromD<D> load_f32_n(D d, const float* p, size_t n) {
  return load_n(d, p, n);
}
template <class D>
HWY_INLINE void store_f32(hn::VFromD<D> v, D d, float* p) {
  hn::StoreU(v, d, p);
}
template <class D>
HWY_INLINE void store_f32_n(hn::VFromD<D> v, D d, float* p, size_t n) {
  store_n(v, d, p, n);
}

template <class D>
HWY_INLINE hn::VFromD<D> bf16_widen(D d, hn::VFromD<hn::Rebind<uint16_t, D>> v) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, v)));
}
// To nearest even; a NaN stays one.
template <class D>
HWY_INLINE hn::VFromD<hn::Rebind<uint16_t, D>> bf16_narrow(D, hn::VFromD<D> v) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> d16;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fffu)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000u));
  const auto chosen = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
  return hn::TruncateTo(d16, hn::ShiftRight<16>(chosen));
}

template <class D>
HWY_INLINE hn::VFromD<D> load_f32(D d, const bfloat16_t* p) {
  const hn::Rebind<uint16_t, D> d16;
  return bf16_widen(d, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p)));
}
template <class D>
HWY_INLINE void store_f32(hn::VFromD<D> v, D d, bfloat16_t* p) {
  const hn::Rebind<uint16_t, D> d16;
  hn::StoreU(bf16_narrow(d, v), d16, reinterpret_cast<uint16_t*>(p));
}

template <class D>
HWY_INLINE hn::VFromD<D> load_f32(D d, const float16_t* p) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const hn::Rebind<float16_t, D> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, p));
#else
  HWY_ALIGN float buffer[HWY_LANES(float)];
  uint16_t half;
  for (size_t i = 0; i < hn::Lanes(d); ++i) std::memcpy(&half, p + i, 2), buffer[i] = f16_to_f32(half);
  return hn::Load(d, buffer);
#endif
}
template <class D>
HWY_INLINE void store_f32(hn::VFromD<D> v, D d, float16_t* p) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const hn::Rebind<float16_t, D> d16;
  hn::StoreU(hn::DemoteTo(d16, v), d16, p);
#else
  HWY_ALIGN float buffer[HWY_LANES(float)];
  hn::Store(v, d, buffer);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    const uint16_t half = f32_to_f16(buffer[i]);
    std::memcpy(static_cast<void*>(p + i), &half, 2);
  }
#endif
}
template <class D, class T16>
HWY_INLINE hn::VFromD<D> load_f32_n(D d, const T16* p, size_t n) {
  HWY_ALIGN T16 buffer[HWY_LANES(float)];
  std::memset(static_cast<void*>(buffer), 0, sizeof buffer);
  std::memcpy(static_cast<void*>(buffer), p, n * 2);
  return load_f32(d, buffer);
}
template <class D, class T16>
HWY_INLINE void store_f32_n(hn::VFromD<D> v, D d, T16* p, size_t n) {
  HWY_ALIGN T16 buffer[HWY_LANES(float)];
  store_f32(v, d, buffer);
  std::memcpy(static_cast<void*>(p), buffer, n * 2);
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
