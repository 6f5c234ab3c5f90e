#include "base/dtype.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace tenon {

static constexpr std::array<DTypeInfo, kNumDTypes> kInfo = {{
    {"none", 0, Kind::none},
    {"f32", 32, Kind::floating},
    {"u8", 8, Kind::unsigned_int},
    {"i8", 8, Kind::signed_int},
    {"u16", 16, Kind::unsigned_int},
    {"i16", 16, Kind::signed_int},
    {"i32", 32, Kind::signed_int},
    {"i64", 64, Kind::signed_int},
    {"str", 0, Kind::string},
    {"bool", 8, Kind::boolean},
    {"f16", 16, Kind::floating},
    {"f64", 64, Kind::floating},
    {"u32", 32, Kind::unsigned_int},
    {"u64", 64, Kind::unsigned_int},
    {"c64", 64, Kind::complex},
    {"c128", 128, Kind::complex},
    {"bf16", 16, Kind::floating},
    {"f8e4m3fn", 8, Kind::floating},
    {"f8e4m3fnuz", 8, Kind::floating},
    {"f8e5m2", 8, Kind::floating},
    {"f8e5m2fnuz", 8, Kind::floating},
    {"u4", 4, Kind::unsigned_int},
    {"i4", 4, Kind::signed_int},
    {"f4e2m1", 4, Kind::floating},
    {"f8e8m0", 8, Kind::floating},
    {"u2", 2, Kind::unsigned_int},
    {"i2", 2, Kind::signed_int},
    {"f6e2m3", 6, Kind::floating},
    {"f6e3m2", 6, Kind::floating},
}};

const DTypeInfo& info(DType t) { return kInfo[int(t) < kNumDTypes ? int(t) : 0]; }

int64_t byte_size(DType t, int64_t n) { return bits(t) >= 8 ? n * (bits(t) / 8) : (n * bits(t) + 7) / 8; }

DType dtype_from_name(std::string_view name) {
  for (int i = 1; i < kNumDTypes; ++i)
    if (name == kInfo[i].name) return DType(i);
  return DType::none;
}

// ---- narrow floats ---------------------------------------------------------------------------------------------

// How a float of 16 bits or fewer is laid out: sign, `e` exponent bits, `m` mantissa bits.
// Sources: IEEE 754 (f16), OCP 8-bit floating point specification (e4m3fn, e5m2), ONNX's float8 page (fnuz variants),
// OCP microscaling formats (e2m1, e2m3, e3m2, e8m0).
struct FloatLayout {
  int e, m, bias;
  bool has_inf;   // the top exponent holds infinities and NaNs, as in IEEE 754
  bool fnuz;      // no infinity, no negative zero; 0x80 is the only NaN
  bool fn;        // no infinity; all ones is NaN
};

static FloatLayout layout(DType t) {
  switch (t) {
    case DType::f16: return {5, 10, 15, true, false, false};
    case DType::bf16: return {8, 7, 127, true, false, false};
    case DType::f8e4m3fn: return {4, 3, 7, false, false, true};
    case DType::f8e4m3fnuz: return {4, 3, 8, false, true, false};
    case DType::f8e5m2: return {5, 2, 15, true, false, false};
    case DType::f8e5m2fnuz: return {5, 2, 16, false, true, false};
    case DType::f6e2m3: return {2, 3, 1, false, false, false};  // here and below every code is a number
    case DType::f6e3m2: return {3, 2, 3, false, false, false};
    default: return {2, 1, 1, false, false, false};  // f4e2m1
  }
}

double decode_float(DType t, uint32_t raw) {
  if (t == DType::f8e8m0) return raw == 0xff ? std::nan("") : std::ldexp(1.0, int(raw) - 127);
  const FloatLayout l = layout(t);
  const uint32_t mantissa = raw & ((1u << l.m) - 1), exponent = raw >> l.m & ((1u << l.e) - 1);
  const bool negative = raw >> (l.e + l.m) & 1;
  const uint32_t top = (1u << l.e) - 1;
  if (l.fnuz && negative && exponent == 0 && mantissa == 0) return std::nan("");
  if (l.has_inf && exponent == top) {
    if (mantissa) return std::nan("");
    return negative ? -HUGE_VAL : HUGE_VAL;
  }
  if (l.fn && exponent == top && mantissa == (1u << l.m) - 1) return std::nan("");
  double v = exponent == 0 ? std::ldexp(double(mantissa), 1 - l.bias - l.m)
                           : std::ldexp(double(mantissa + (1u << l.m)), int(exponent) - l.bias - l.m);
  return negative ? -v : v;
}

static uint32_t encode_power(double v, bool saturate, PowerRound round) {
  constexpr uint32_t kNan = 0xff, kLargest = 0xfe;
  if (std::isnan(v)) return kNan;
  v = std::fabs(v);
  if (std::isinf(v)) return saturate ? kLargest : kNan;
  if (v == 0) return saturate ? 0 : kNan;
  int e;
  const double fraction = std::frexp(v, &e);  // v = fraction * 2^e, fraction in [0.5, 1)
  int code = e - 1 + 127;
  if (round == PowerRound::up ? fraction > 0.5 : round == PowerRound::nearest && fraction >= 0.75) ++code;
  if (code < 0) return saturate ? 0 : kNan;
  if (code > int(kLargest)) return saturate ? kLargest : kNan;
  return uint32_t(code);
}

uint32_t encode_float(DType t, double v, bool saturate, PowerRound round) {
  if (t == DType::f8e8m0) return encode_power(v, saturate, round);
  const FloatLayout l = layout(t);
  const bool wide = t == DType::f16 || t == DType::bf16;  // never saturate
  const bool numbers_only = !l.has_inf && !l.fnuz && !l.fn;
  uint64_t u;
  std::memcpy(&u, &v, 8);
  const uint32_t sign = uint32_t(u >> 63) << (l.e + l.m);
  const uint32_t top = (1u << l.e) - 1, inf = top << l.m;
  uint32_t largest = inf | ((1u << l.m) - 1);  // the largest finite code
  if (l.has_inf) largest = inf - 1;
  else if (l.fn) largest -= 1;

  const int exponent = int(u >> 52 & 0x7ff);
  const uint64_t mantissa = u & ((uint64_t(1) << 52) - 1);
  if (exponent == 0x7ff && mantissa) {
    if (l.fnuz || numbers_only) return 1u << (l.e + l.m);
    return sign | (l.has_inf ? inf | 1u << (l.m - 1) : largest + 1);
  }
  auto overflow = [&]() -> uint32_t {
    if (numbers_only || (!wide && saturate)) return sign | largest;
    if (l.fnuz) return 1u << (l.e + l.m);
    return sign | (l.has_inf ? inf : largest + 1);
  };
  if (exponent == 0x7ff) return overflow();
  // v = whole * 2^(exponent - 1023 - 52). Keep the bits above the target's last place, which for subnormals is fixed;
  // adding the exponent to the rounded mantissa lets a carry move into it.
  const int biased = exponent - 1023 + l.bias;  // of the target
  const int shift = 52 - l.m + (biased < 1 ? 1 - biased : 0);
  if (exponent == 0 || shift > 53) return l.fnuz ? 0 : sign;  // under half of the smallest value
  const uint64_t whole = mantissa | uint64_t(1) << 52;
  uint64_t kept = whole >> shift;
  const uint64_t rest = whole & ((uint64_t(1) << shift) - 1), half = uint64_t(1) << (shift - 1);
  if (rest > half || (rest == half && (kept & 1))) ++kept;  // to nearest even
  if (biased > int(top)) return overflow();
  const uint64_t code = biased < 1 ? kept : (uint64_t(biased - 1) << l.m) + kept;
  if (code > largest) return overflow();
  if (code == 0 && l.fnuz) return 0;
  return sign | uint32_t(code);
}

float f16_to_f32(uint16_t h) {
#if defined(__FLT16_MANT_DIG__) && defined(__x86_64__)
  _Float16 v;
  std::memcpy(&v, &h, 2);
  return float(v);
#else
  return float(decode_float(DType::f16, h));
#endif
}

uint16_t f32_to_f16(float f) { return uint16_t(encode_float(DType::f16, double(f))); }

uint16_t f32_to_bf16(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return uint16_t(u >> 16 | 0x40);  // keep it a NaN
  return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// ---- elements ----------------------------------------------------------------------------------------------------

// Calls f with a null pointer of the C++ type that stores `t`, for the types that have one.
template <class F>
static bool with_plain(DType t, F&& f) {
  switch (t) {
    case DType::f32: f((float*)nullptr); return true;
    case DType::f64: f((double*)nullptr); return true;
    case DType::i8: f((int8_t*)nullptr); return true;
    case DType::i16: f((int16_t*)nullptr); return true;
    case DType::i32: f((int32_t*)nullptr); return true;
    case DType::i64: f((int64_t*)nullptr); return true;
    case DType::boolean:
    case DType::u8: f((uint8_t*)nullptr); return true;
    case DType::u16: f((uint16_t*)nullptr); return true;
    case DType::u32: f((uint32_t*)nullptr); return true;
    case DType::u64: f((uint64_t*)nullptr); return true;
    default: return false;
  }
}

static uint32_t load_raw(DType t, const void* data, int64_t i) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  switch (bits(t)) {
    case 16: { uint16_t v; std::memcpy(&v, bytes + i * 2, 2); return v; }
    case 4: return bytes[i / 2] >> (i % 2 * 4) & 15;
    case 2: return bytes[i / 4] >> (i % 4 * 2) & 3;
    case 6: {  // may straddle two bytes
      const int64_t at = i * 6;
      const uint32_t low = bytes[at / 8], high = at % 8 > 2 ? bytes[at / 8 + 1] : 0;
      return (low | high << 8) >> (at % 8) & 63;
    }
    case 0: return 0;
    default: return bytes[i];
  }
}

static void store_raw(DType t, void* data, int64_t i, uint32_t v) {
  auto* bytes = static_cast<uint8_t*>(data);
  switch (bits(t)) {
    case 16: { uint16_t h = uint16_t(v); std::memcpy(bytes + i * 2, &h, 2); break; }
    case 4: { int s = i % 2 * 4; bytes[i / 2] = uint8_t((bytes[i / 2] & ~(15 << s)) | (v & 15) << s); break; }
    case 2: { int s = i % 4 * 2; bytes[i / 4] = uint8_t((bytes[i / 4] & ~(3 << s)) | (v & 3) << s); break; }
    case 6: {
      const int64_t at = i * 6;
      const uint32_t mask = 63u << (at % 8), value = (v & 63) << (at % 8);
      bytes[at / 8] = uint8_t((bytes[at / 8] & ~mask) | value);
      if (at % 8 > 2) bytes[at / 8 + 1] = uint8_t((bytes[at / 8 + 1] & ~(mask >> 8)) | value >> 8);
      break;
    }
    case 0: break;
    default: bytes[i] = uint8_t(v);
  }
}

static int64_t narrow_int(DType t, uint32_t raw) {
  if (t == DType::i4) return int64_t(raw ^ 8) - 8;
  if (t == DType::i2) return int64_t(raw ^ 2) - 2;
  return raw;
}

// C++ leaves out-of-range float-to-int conversions undefined; these saturate at 64 bits, and NaN gives 0. `t` is the
// integer type the result is for: u64 is held as its bit pattern.
static int64_t to_int(double v, DType t = DType::i64) {
  constexpr double kTwo63 = 9.2233720368547758e18;
  if (!(v > -kTwo63)) return std::isnan(v) ? 0 : std::numeric_limits<int64_t>::min();
  if (v < kTwo63) return int64_t(v);
  if (t != DType::u64) return std::numeric_limits<int64_t>::max();
  return v < 2 * kTwo63 ? int64_t(uint64_t(v)) : -1;
}

void load_doubles(DType t, const void* data, int64_t begin, int64_t n, double* out) {
  if (with_plain(t, [&](auto* p) {
        const auto* in = static_cast<const std::remove_pointer_t<decltype(p)>*>(data) + begin;
        for (int64_t i = 0; i < n; ++i) out[i] = t == DType::boolean ? double(in[i] != 0) : double(in[i]);
      }))
    return;
  for (int64_t i = 0; i < n; ++i) {
    uint32_t raw = load_raw(t, data, begin + i);
    if (t == DType::f16) out[i] = f16_to_f32(uint16_t(raw));
    else if (t == DType::bf16) out[i] = bf16_to_f32(uint16_t(raw));
    else out[i] = is_float(t) ? decode_float(t, raw) : double(narrow_int(t, raw));
  }
}

void load_ints(DType t, const void* data, int64_t begin, int64_t n, int64_t* out) {
  if (with_plain(t, [&](auto* p) {
        using T = std::remove_pointer_t<decltype(p)>;
        const T* in = static_cast<const T*>(data) + begin;
        for (int64_t i = 0; i < n; ++i) {
          if constexpr (std::is_floating_point_v<T>) out[i] = to_int(double(in[i]));
          else out[i] = t == DType::boolean ? int64_t(in[i] != 0) : int64_t(in[i]);
        }
      }))
    return;
  for (int64_t i = 0; i < n; ++i) {
    uint32_t raw = load_raw(t, data, begin + i);
    out[i] = is_float(t) ? to_int(decode_float(t, raw)) : narrow_int(t, raw);
  }
}

void store_doubles(DType t, void* data, int64_t begin, int64_t n, const double* in) {
  if (with_plain(t, [&](auto* p) {
        using T = std::remove_pointer_t<decltype(p)>;
        T* out = static_cast<T*>(data) + begin;
        for (int64_t i = 0; i < n; ++i) {
          if constexpr (std::is_floating_point_v<T>) out[i] = T(in[i]);
          else out[i] = t == DType::boolean ? T(in[i] != 0) : T(to_int(in[i], t));
        }
      }))
    return;
  for (int64_t i = 0; i < n; ++i)
    store_raw(t, data, begin + i, is_float(t) ? encode_float(t, in[i]) : uint32_t(to_int(in[i])));
}

void store_ints(DType t, void* data, int64_t begin, int64_t n, const int64_t* in) {
  if (with_plain(t, [&](auto* p) {
        using T = std::remove_pointer_t<decltype(p)>;
        T* out = static_cast<T*>(data) + begin;
        for (int64_t i = 0; i < n; ++i) out[i] = t == DType::boolean ? T(in[i] != 0) : T(in[i]);
      }))
    return;
  for (int64_t i = 0; i < n; ++i)
    store_raw(t, data, begin + i, is_float(t) ? encode_float(t, double(in[i])) : uint32_t(in[i]));
}

double load_double(DType t, const void* data, int64_t i) {
  double v;
  load_doubles(t, data, i, 1, &v);
  return v;
}
int64_t load_int(DType t, const void* data, int64_t i) {
  int64_t v;
  load_ints(t, data, i, 1, &v);
  return v;
}
void store_double(DType t, void* data, int64_t i, double v) { store_doubles(t, data, i, 1, &v); }
void store_int(DType t, void* data, int64_t i, int64_t v) { store_ints(t, data, i, 1, &v); }

}  // namespace tenon
