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
}};

const DTypeInfo& info(DType t) { return kInfo[int(t) < kNumDTypes ? int(t) : 0]; }

int64_t byte_size(DType t, int64_t n) { return (n * bits(t) + 7) / 8; }

DType dtype_from_name(std::string_view name) {
  for (int i = 1; i < kNumDTypes; ++i)
    if (name == kInfo[i].name) return DType(i);
  return DType::none;
}

// ---- narrow floats ---------------------------------------------------------------------------------------------

// How a float of 16 bits or fewer is laid out: sign, `e` exponent bits, `m` mantissa bits.
// Sources: IEEE 754 (f16), OCP 8-bit floating point specification (e4m3fn, e5m2), ONNX's float8 page (fnuz variants),
// OCP microscaling formats (e2m1, e8m0).
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
    default: return {2, 1, 1, false, false, false};  // f4e2m1: every code is a number
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

uint32_t encode_float(DType t, double v, bool saturate) {
  if (t == DType::f8e8m0) {  // a power of two: round to nearest, ties away, as the microscaling formats do
    if (std::isnan(v)) return 0xff;
    v = std::fabs(v);
    if (v == 0) return 0;
    if (std::isinf(v)) return saturate ? 0xfe : 0xff;
    int e;
    double f = std::frexp(v, &e);  // v = f * 2^e, f in [0.5, 1)
    int code = e - 1 + 127 + (f >= 0.75 ? 1 : 0);
    if (code < 0) return 0;
    if (code > 254) return saturate ? 0xfe : 0xff;
    return uint32_t(code);
  }
  const FloatLayout l = layout(t);
  const bool wide = t == DType::f16 || t == DType::bf16;  // never saturate
  const uint32_t sign = std::signbit(v) ? 1u << (l.e + l.m) : 0;
  const uint32_t top = (1u << l.e) - 1, mantissa_mask = (1u << l.m) - 1;
  const uint32_t inf = top << l.m;
  // The largest finite code.
  uint32_t largest = top << l.m | mantissa_mask;
  if (l.has_inf) largest = inf - 1;
  else if (l.fn) largest -= 1;
  const uint32_t nan = l.fnuz ? 1u << (l.e + l.m) : l.has_inf ? inf | 1u << (l.m - 1) : largest + (l.fn ? 1 : 0);
  if (std::isnan(v)) return l.fnuz ? nan : sign | nan;
  const double a = std::fabs(v);
  auto overflow = [&]() -> uint32_t {
    if (!wide && saturate) return sign | largest;
    if (l.has_inf) return sign | inf;
    if (l.fnuz) return nan;
    return sign | (l.fn ? nan : largest);
  };
  if (std::isinf(v)) return overflow();
  if (a == 0) return l.fnuz ? 0 : sign;
  int e;
  std::frexp(a, &e);
  int exponent = e - 1;                                // a in [2^exponent, 2^(exponent+1))
  if (exponent < 1 - l.bias) exponent = 1 - l.bias;    // subnormal
  double scaled = std::ldexp(a, l.m - exponent);       // integer part is the mantissa with its hidden bit
  double rounded = std::nearbyint(scaled);             // round to nearest even
  if (rounded >= double(2u << l.m)) rounded /= 2, ++exponent;
  uint32_t code;
  if (rounded < double(1u << l.m)) {
    code = uint32_t(rounded);
  } else {
    int64_t biased = int64_t(exponent) + l.bias;
    if (biased > int64_t(top)) return overflow();
    code = uint32_t(biased) << l.m | (uint32_t(rounded) & mantissa_mask);
  }
  if (code > largest) return overflow();
  if (code == 0 && l.fnuz) return 0;
  return sign | code;
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
    default: return bytes[i];
  }
}

static void store_raw(DType t, void* data, int64_t i, uint32_t v) {
  auto* bytes = static_cast<uint8_t*>(data);
  switch (bits(t)) {
    case 16: { uint16_t h = uint16_t(v); std::memcpy(bytes + i * 2, &h, 2); break; }
    case 4: { int s = i % 2 * 4; bytes[i / 2] = uint8_t((bytes[i / 2] & ~(15 << s)) | (v & 15) << s); break; }
    case 2: { int s = i % 4 * 2; bytes[i / 4] = uint8_t((bytes[i / 4] & ~(3 << s)) | (v & 3) << s); break; }
    default: bytes[i] = uint8_t(v);
  }
}

static int64_t narrow_int(DType t, uint32_t raw) {
  if (t == DType::i4) return int64_t(raw ^ 8) - 8;
  if (t == DType::i2) return int64_t(raw ^ 2) - 2;
  return raw;
}

// C++ leaves out-of-range float-to-int conversions undefined; these saturate, and NaN gives 0.
static int64_t to_int(double v) {
  if (!(v > -9.2233720368547758e18)) return std::isnan(v) ? 0 : std::numeric_limits<int64_t>::min();
  if (v >= 18446744073709551616.0) return -1;
  if (v >= 9.2233720368547758e18) return int64_t(uint64_t(v));
  return int64_t(v);
}

void load_doubles(DType t, const void* data, int64_t begin, int64_t n, double* out) {
  if (with_plain(t, [&](auto* p) {
        const auto* in = static_cast<const std::remove_pointer_t<decltype(p)>*>(data) + begin;
        for (int64_t i = 0; i < n; ++i) out[i] = double(in[i]);
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
          else out[i] = int64_t(in[i]);
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
          else out[i] = t == DType::boolean ? T(in[i] != 0) : T(to_int(in[i]));
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
