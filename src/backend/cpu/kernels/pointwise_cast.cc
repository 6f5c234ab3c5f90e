// Block kernels that change the type of lanes: casts between registers, loads from memory and stores to it.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pointwise_cast.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <cmath>
#include <type_traits>

#include "backend/cpu/kernels/pointwise.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// dst[i] = f(src[i]). Plain loops: the compiler turns them into vector code for each target.
template <class From, class To, class F>
HWY_INLINE void each(const BlockArgs& k, F f) {
  auto* HWY_RESTRICT out = static_cast<To*>(k.dst);
  const auto* HWY_RESTRICT in = static_cast<const From*>(k.src[0]);
  if (k.step[0] == 0) {
    const To v = f(in[0]);
    for (size_t i = 0; i < k.n; ++i) out[i] = v;
  } else {
    for (size_t i = 0; i < k.n; ++i) out[i] = f(in[i]);
  }
}

// As the base library rounds: toward zero, NaN to 0; from 2^63 on as u64, then saturating.
inline int64_t to_i64(double v) {
  if (!(v > -9.2233720368547758e18)) return v != v ? 0 : INT64_MIN;
  if (v >= 18446744073709551616.0) return -1;
  if (v >= 9.2233720368547758e18) return int64_t(uint64_t(v));
  return int64_t(v);
}

// To 32 bits by hardware where all lanes fit, else through 64 bits and wrapped.
void f32_to_i32(const BlockArgs& k) {
  const DF d;
  const DI di;
  const size_t lanes = hn::Lanes(d);
  const auto* in = static_cast<const float*>(k.src[0]);
  auto* out = static_cast<int32_t*>(k.dst);
  size_t i = 0;
  for (; i + lanes <= k.n; i += lanes) {
    const VF v = hn::LoadU(d, in + i * k.step[0]);
    if (!hn::AllTrue(d, hn::Lt(hn::Abs(v), hn::Set(d, 2147483648.0f)))) {
      for (size_t j = 0; j < lanes; ++j) out[i + j] = int32_t(to_i64(double(in[(i + j) * k.step[0]])));
      continue;
    }
    hn::StoreU(hn::ConvertTo(di, v), di, out + i);
  }
  for (; i < k.n; ++i) out[i] = int32_t(to_i64(double(in[i * k.step[0]])));
}

template <class From, class To>
void convert(const BlockArgs& k) {
  each<From, To>(k, [](From v) -> To {
    if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
      return To(to_i64(double(v)));
    } else {
      return To(v);
    }
  });
}
template <class From>
void to_mask(const BlockArgs& k) {
  each<From, int32_t>(k, [](From v) { return v != From(0) ? -1 : 0; });
}
template <class To>
void from_mask(const BlockArgs& k) {
  each<int32_t, To>(k, [](int32_t v) { return To(v & 1); });
}

template <class From>
BlockFn cast_from(Reg to) {
  switch (to) {
    case Reg::f32: return convert<From, float>;
    case Reg::f64: return convert<From, double>;
    case Reg::i32: return std::is_same_v<From, float> ? f32_to_i32 : convert<From, int32_t>;
    case Reg::u32: return convert<From, uint32_t>;
    case Reg::i64: return convert<From, int64_t>;
    case Reg::u64: return convert<From, uint64_t>;
    case Reg::mask: return to_mask<From>;
  }
  return nullptr;
}
BlockFn find_cast(Reg from, Reg to) {
  switch (from) {
    case Reg::f32: return cast_from<float>(to);
    case Reg::f64: return cast_from<double>(to);
    case Reg::i32: return cast_from<int32_t>(to);
    case Reg::u32: return cast_from<uint32_t>(to);
    case Reg::i64: return cast_from<int64_t>(to);
    case Reg::u64: return cast_from<uint64_t>(to);
    case Reg::mask:
      switch (to) {
        case Reg::f32: return from_mask<float>;
        case Reg::f64: return from_mask<double>;
        case Reg::i32: return from_mask<int32_t>;
        case Reg::u32: return from_mask<uint32_t>;
        case Reg::i64: return from_mask<int64_t>;
        case Reg::u64: return from_mask<uint64_t>;
        case Reg::mask: return convert<int32_t, int32_t>;
      }
  }
  return nullptr;
}

template <int kBits>
void wrap_signed(const BlockArgs& k) {
  each<int32_t, int32_t>(k, [](int32_t v) { return int32_t(uint32_t(v) << (32 - kBits)) >> (32 - kBits); });
}
template <int kBits>
void wrap_unsigned(const BlockArgs& k) {
  each<int32_t, int32_t>(k, [](int32_t v) { return v & ((1 << kBits) - 1); });
}
BlockFn find_wrap(DType t) {
  switch (t) {
    case DType::i2: return wrap_signed<2>;
    case DType::i4: return wrap_signed<4>;
    case DType::i8: return wrap_signed<8>;
    case DType::i16: return wrap_signed<16>;
    case DType::u2: return wrap_unsigned<2>;
    case DType::u4: return wrap_unsigned<4>;
    case DType::u8: return wrap_unsigned<8>;
    case DType::u16: return wrap_unsigned<16>;
    default: return nullptr;
  }
}

// f32 lanes through a narrow type and back.
template <class T16>
void round_through(const BlockArgs& k) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN T16 narrow[HWY_LANES(float)];
  const auto* in = static_cast<const float*>(k.src[0]);
  auto* out = static_cast<float*>(k.dst);
  for (size_t i = 0; i < k.n; i += lanes) {
    const size_t r = k.n - i;
    store_f32(k.step[0] == 0 || r >= lanes ? hn::LoadU(d, in + i * k.step[0]) : load_n(d, in + i, r), d, narrow);
    const VF v = load_f32(d, narrow);
    if (r >= lanes) hn::StoreU(v, d, out + i);
    else store_n(v, d, out + i, r);
  }
}
template <DType kType>
void round_small(const BlockArgs& k) {
  each<float, float>(k, [&](float v) { return float(decode_float(kType, encode_float(kType, double(v), k.imm & 1, PowerRound(k.imm >> 1)))); });
}
BlockFn find_round(DType t) {
  switch (t) {
    case DType::f16: return round_through<float16_t>;
    case DType::bf16: return round_through<bfloat16_t>;
#define CASE(name) \
  case DType::name: return round_small<DType::name>;
    CASE(f8e4m3fn) CASE(f8e4m3fnuz) CASE(f8e5m2) CASE(f8e5m2fnuz) CASE(f4e2m1) CASE(f8e8m0)
#undef CASE
    default: return nullptr;
  }
}

// ---- memory --------------------------------------------------------------------------------------------------------

template <class T16>
void load_half(const BlockArgs& k) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  const auto* in = static_cast<const T16*>(k.src[0]);
  auto* out = static_cast<float*>(k.dst);
  size_t i = 0;
  for (; i + lanes <= k.n; i += lanes) hn::StoreU(load_f32(d, in + i), d, out + i);
  if (i < k.n) store_n(load_f32_n(d, in + i, k.n - i), d, out + i, k.n - i);
}
template <class T16>
void store_half(const BlockArgs& k) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  const auto* in = static_cast<const float*>(k.src[0]);
  auto* out = static_cast<T16*>(k.dst);
  const size_t s = k.step[0];
  size_t i = 0;
  for (; i + lanes <= k.n; i += lanes) store_f32(hn::LoadU(d, in + i * s), d, out + i);
  if (i < k.n) store_f32_n(s ? load_n(d, in + i, k.n - i) : hn::LoadU(d, in), d, out + i, k.n - i);
}
template <DType kType>
void load_small(const BlockArgs& k) {
  each<uint8_t, float>(k, [](uint8_t v) { return float(decode_float(kType, v)); });
}
template <DType kType>
void store_small(const BlockArgs& k) {
  each<float, uint8_t>(k, [](float v) { return uint8_t(encode_float(kType, double(v), false)); });
}

BlockFn find_load(DType t) {
  switch (t) {
    case DType::f16: return load_half<float16_t>;
    case DType::bf16: return load_half<bfloat16_t>;
    case DType::i8: return convert<int8_t, int32_t>;
    case DType::u8: return convert<uint8_t, int32_t>;
    case DType::i16: return convert<int16_t, int32_t>;
    case DType::u16: return convert<uint16_t, int32_t>;
    case DType::boolean: return to_mask<uint8_t>;
#define CASE(name) \
  case DType::name: return load_small<DType::name>;
    CASE(f8e4m3fn) CASE(f8e4m3fnuz) CASE(f8e5m2) CASE(f8e5m2fnuz) CASE(f8e8m0)
#undef CASE
    default: return nullptr;
  }
}
BlockFn find_store(DType t) {
  switch (t) {
    case DType::f16: return store_half<float16_t>;
    case DType::bf16: return store_half<bfloat16_t>;
    case DType::i8:
    case DType::u8: return convert<int32_t, uint8_t>;
    case DType::i16:
    case DType::u16: return convert<int32_t, uint16_t>;
    case DType::boolean: return from_mask<uint8_t>;
#define CASE(name) \
  case DType::name: return store_small<DType::name>;
    CASE(f8e4m3fn) CASE(f8e4m3fnuz) CASE(f8e5m2) CASE(f8e5m2fnuz) CASE(f8e8m0)
#undef CASE
    default: return nullptr;
  }
}
BlockFn find_copy(int bytes) { return bytes == 8 ? convert<int64_t, int64_t> : convert<int32_t, int32_t>; }

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(find_cast);
HWY_EXPORT(find_wrap);
HWY_EXPORT(find_round);
HWY_EXPORT(find_load);
HWY_EXPORT(find_store);
HWY_EXPORT(find_copy);
BlockFn cast_kernel(Reg from, Reg to) { return HWY_DYNAMIC_DISPATCH(find_cast)(from, to); }
BlockFn wrap_kernel(DType t) { return HWY_DYNAMIC_DISPATCH(find_wrap)(t); }
BlockFn round_kernel(DType t) { return HWY_DYNAMIC_DISPATCH(find_round)(t); }
BlockFn load_kernel(DType t) { return HWY_DYNAMIC_DISPATCH(find_load)(t); }
BlockFn store_kernel(DType t) { return HWY_DYNAMIC_DISPATCH(find_store)(t); }
BlockFn copy_kernel(int bytes) { return HWY_DYNAMIC_DISPATCH(find_copy)(bytes); }
}  // namespace tenon::cpu
#endif
