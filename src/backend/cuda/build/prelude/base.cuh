// Types, conversions, arithmetic by the rules of scalar programs, vectors, reductions: plain C++ over ptx.cuh.

// ---- types in memory ---------------------------------------------------------------------------------------------

struct half { unsigned short bits; };
struct bf16 { unsigned short bits; };
struct f8e4m3fn { unsigned char bits; };
struct f8e4m3fnuz { unsigned char bits; };
struct f8e5m2 { unsigned char bits; };
struct f8e5m2fnuz { unsigned char bits; };
struct f8e8m0 { unsigned char bits; };

#define INFINITE float_from_bits(0x7f800000u)
#define NOT_A_NUMBER float_from_bits(0x7fc00000u)

// ---- narrow floats ---------------------------------------------------------------------------------------------

// Floats of E exponent and M mantissa bits. INF: the top exponent holds infinities and NaNs; FNUZ: no infinity, no
// negative zero, its code is the only NaN; FN: no infinity, all ones is NaN; none of them: every code is a number.
template <int E, int M, int BIAS, bool INF, bool FNUZ, bool FN>
struct SmallFloat {
  // Functions, since constants would be symbols of every kernel's machine code.
  static DEVICE unsigned top() { return (1u << E) - 1; }
  static DEVICE unsigned inf() { return top() << M; }
  static DEVICE unsigned ones() { return inf() | ((1u << M) - 1); }
  static DEVICE unsigned sign_bit() { return 1u << (E + M); }
  static DEVICE unsigned largest() { return INF ? inf() - 1 : FN ? ones() - 1 : ones(); }
  static DEVICE bool numbers_only() { return !INF && !FNUZ && !FN; }

  // To nearest even. Overflow gives the largest value if `saturate`, else infinity or NaN as the type has it.
  static DEVICE unsigned encode(float v, bool saturate) {
    const unsigned all = float_bits(v), sign = all >> 31 << (E + M), mantissa = all & 0x7fffffu;
    const int exponent = int(all >> 23 & 255u);
    if (exponent == 255 && mantissa) return FNUZ || numbers_only() ? sign_bit() : sign | (INF ? inf() | 1u << (M - 1) : largest() + 1);
    const unsigned overflow = numbers_only() || saturate ? sign | largest() : FNUZ ? sign_bit() : sign | (INF ? inf() : largest() + 1);
    if (exponent == 255) return overflow;
    // The bits above the last place are kept, which for subnormals is fixed; a carry moves into the exponent.
    const int biased = exponent - 127 + BIAS, shift = 23 - M + (biased < 1 ? 1 - biased : 0);
    if (exponent == 0 || shift > 24) return FNUZ ? 0 : sign;
    const unsigned whole = mantissa | 0x800000u, rest = whole & ((1u << shift) - 1), middle = 1u << (shift - 1);
    unsigned kept = whole >> shift;
    if (rest > middle || (rest == middle && (kept & 1))) ++kept;
    if (biased > int(top())) return overflow;
    const unsigned code = biased < 1 ? kept : (unsigned(biased - 1) << M) + kept;
    if (code > largest()) return overflow;
    return FNUZ && code == 0 ? 0 : sign | code;
  }
  static DEVICE float decode(unsigned code) {
    const unsigned mantissa = code & ((1u << M) - 1), exponent = code >> M & top();
    const bool negative = code >> (E + M) & 1;
    if (FNUZ && code == sign_bit()) return NOT_A_NUMBER;
    if (INF && exponent == top()) return mantissa ? NOT_A_NUMBER : negative ? -INFINITE : INFINITE;
    if (FN && (code & ones()) == ones()) return NOT_A_NUMBER;
    const float v = exponent == 0 ? float(mantissa) * float_from_bits(unsigned(128 - BIAS - M) << 23)
                                  : float_from_bits((exponent + unsigned(127 - BIAS)) << 23 | mantissa << (23 - M));
    return negative ? -v : v;
  }
};
using E4M3fn = SmallFloat<4, 3, 7, false, false, true>;
using E4M3fnuz = SmallFloat<4, 3, 8, false, true, false>;
using E5M2 = SmallFloat<5, 2, 15, true, false, false>;
using E5M2fnuz = SmallFloat<5, 2, 16, false, true, false>;
using E2M3 = SmallFloat<2, 3, 1, false, false, false>;
using E3M2 = SmallFloat<3, 2, 3, false, false, false>;
using E2M1 = SmallFloat<2, 1, 1, false, false, false>;

// Powers of two only: the magnitude counts. `round` 0: away from zero, 1: toward zero, 2: to the nearest, ties up.
DEVICE unsigned encode_power(double v, bool saturate, int round) {
  const unsigned long long all = double_bits(v) & 0x7fffffffffffffffull, mantissa = all & 0xfffffffffffffull;
  const int exponent = int(all >> 52);
  if (exponent == 2047) return mantissa || !saturate ? 255 : 254;
  if (all == 0) return saturate ? 0 : 255;
  int code = exponent - 1023 + 127;
  if (round == 0 ? mantissa != 0 : round == 2 && mantissa >> 51) ++code;
  if (code < 0) return saturate ? 0 : 255;
  return code > 254 ? (saturate ? 254 : 255) : unsigned(code);
}
DEVICE float decode_power(unsigned code) {
  return code == 255 ? NOT_A_NUMBER : code == 0 ? float_from_bits(0x400000u) : float_from_bits(code << 23);
}

// A double as the float whose further rounding to 16 bits or fewer gives what rounding the double would: cut toward
// zero, with the last bit set where something was cut off.
DEVICE float to_odd(double v) {
  const float f = float(v);
  if (double(f) == v || v != v) return f;
  unsigned all = float_bits(f);
  if (fabs(double(f)) > fabs(v)) --all;
  return float_from_bits(all | 1);
}

DEVICE unsigned encode_e4m3fn(float v, bool saturate) {
#if HARDWARE_FP8
  if (saturate) return float_to_e4m3_saturated(v);
#endif
  return E4M3fn::encode(v, saturate);
}
DEVICE unsigned encode_e5m2(float v, bool saturate) {
#if HARDWARE_FP8
  if (saturate) return float_to_e5m2_saturated(v);
#endif
  return E5M2::encode(v, saturate);
}
DEVICE float decode_e4m3fn(unsigned char v) {
#if HARDWARE_FP8
  return e4m3_to_float(v);
#else
  return E4M3fn::decode(v);
#endif
}
DEVICE float decode_e5m2(unsigned char v) {
#if HARDWARE_FP8
  return e5m2_to_float(v);
#else
  return E5M2::decode(v);
#endif
}

// ---- from memory to what is computed with, and back ------------------------------------------------------------------

DEVICE float to_float(float v) { return v; }
DEVICE float to_float(half v) { return f16_to_float(v.bits); }
DEVICE float to_float(bf16 v) { return bf16_to_float(v.bits); }
DEVICE float to_float(f8e4m3fn v) { return decode_e4m3fn(v.bits); }
DEVICE float to_float(f8e4m3fnuz v) { return E4M3fnuz::decode(v.bits); }
DEVICE float to_float(f8e5m2 v) { return decode_e5m2(v.bits); }
DEVICE float to_float(f8e5m2fnuz v) { return E5M2fnuz::decode(v.bits); }
DEVICE float to_float(f8e8m0 v) { return decode_power(v.bits); }
DEVICE float to_float(double v) { return float(v); }
DEVICE float to_float(int v) { return float(v); }
DEVICE float to_float(unsigned v) { return float(v); }
DEVICE float to_float(signed char v) { return float(v); }
DEVICE float to_float(unsigned char v) { return float(v); }

// narrow<T>(v): v as the type T in memory. Floats are rounded; float8 does not saturate (a cast has done so before).
template <class T>
struct Narrow {
  template <class V>
  static DEVICE T from(V v) { return T(v); }
};
#define TENON_NARROW(type, expression) \
  template <>                          \
  struct Narrow<type> {                \
    static DEVICE type from(float v) { \
      type r;                          \
      r.bits = expression;             \
      return r;                        \
    }                                  \
  };
TENON_NARROW(half, float_to_f16(v))
TENON_NARROW(bf16, float_to_bf16(v))
TENON_NARROW(f8e4m3fn, (unsigned char)E4M3fn::encode(v, false))
TENON_NARROW(f8e4m3fnuz, (unsigned char)E4M3fnuz::encode(v, false))
TENON_NARROW(f8e5m2, (unsigned char)E5M2::encode(v, false))
TENON_NARROW(f8e5m2fnuz, (unsigned char)E5M2fnuz::encode(v, false))
TENON_NARROW(f8e8m0, (unsigned char)encode_power(double(v), true, 0))
#undef TENON_NARROW
template <class T, class V>
DEVICE T narrow(V v) { return Narrow<T>::from(v); }

// ---- arithmetic as ops/scalar.h has it -------------------------------------------------------------------------------

DEVICE double min_nan(double a, double b) { return a != a ? a : b != b ? b : a < b ? a : b; }
DEVICE double max_nan(double a, double b) { return a != a ? a : b != b ? b : a < b ? b : a; }
template <class T>
DEVICE T sign_of(T v) { return v != v ? v : T(int(v > T(0)) - int(v < T(0))); }
// For results of 16 bits, in a third of the instructions: relative errors of a few 1e-6, what is below 2^-126 is zero.
DEVICE float exp_narrow(float v) { return fast_exp2(v * 1.44269504f); }
DEVICE float sigmoid_narrow(float v) { return fast_reciprocal(1.0f + fast_exp2(v * -1.44269504f)); }
DEVICE float tanh_narrow(float v) {
  const float most = 1.0f - 2.0f * fast_reciprocal(1.0f + fast_exp2(fabsf(v) * 2.88539008f));
  return fabsf(v) < 0.03f ? v - v * v * v * 0.33333333f : copysignf(most, v);
}
// Within 1.3e-5: an odd polynomial, a minimax fit up to 3.1, from where on it is larger than 1.
DEVICE float erf_narrow(float v) {
  const float u = v * v;
  float r = 2.5352664e-10f;
  r = fmaf(r, u, -1.5682158e-8f);
  r = fmaf(r, u, 4.3997923e-7f);
  r = fmaf(r, u, -7.4805539e-6f);
  r = fmaf(r, u, 8.7220964e-5f);
  r = fmaf(r, u, -7.5064891e-4f);
  r = fmaf(r, u, 5.0066365e-3f);
  r = fmaf(r, u, -2.6582414e-2f);
  r = fmaf(r, u, 1.1262897e-1f);
  r = fmaf(r, u, -3.7605473e-1f);
  r = fmaf(r, u, 1.1283718f);
  return max_nan(min_nan(r * v, 1.0f), -1.0f);
}
// 1 + tanh(v) and 1 + erf(v), as in Gelu: twice a logistic function, whose argument is an odd polynomial for erf (a minimax fit up to 3.9,
// larger from there on). Few dependent steps, as what stands behind a product has few registers to do others in between.
DEVICE float one_plus_tanh_narrow(float v) { return fast_reciprocal(fmaf(fast_exp2(v * -2.88539008f), 0.5f, 0.5f)); }
DEVICE float one_plus_erf_narrow(float v) {
  const float u = v * v;
  float r = 4.3238427e-7f;
  r = fmaf(r, u, -1.6407930e-5f);
  r = fmaf(r, u, 2.4945528e-4f);
  r = fmaf(r, u, -1.7610346e-3f);
  r = fmaf(r, u, -6.2670501e-4f);
  r = fmaf(r, u, 2.9660085e-1f);
  r = fmaf(r, u, 3.2557952f);
  return fast_reciprocal(fmaf(fast_exp2(v * -r), 0.5f, 0.5f));
}
DEVICE float sigmoid_of(float v) {
  const float e = expf(-fabsf(v));
  return (v >= 0.f ? 1.f : e) / (1.f + e);
}
DEVICE double sigmoid_of(double v) {
  const double e = exp(-fabs(v));
  return (v >= 0 ? 1 : e) / (1 + e);
}
// The remainder with the sign of the divisor.
DEVICE float float_mod(float a, float b) {
  const float m = fmodf(a, b);
  return m == 0.f ? copysignf(0.f, b) : (m < 0.f) != (b < 0.f) ? m + b : m;
}
DEVICE double float_mod(double a, double b) {
  const double m = fmod(a, b);
  return m == 0 ? copysign(0.0, b) : (m < 0) != (b < 0) ? m + b : m;
}

// Division by zero gives zero; the quotient of the smallest number and -1 wraps.
DEVICE unsigned int_div(unsigned a, unsigned b) { return b == 0 ? 0 : a / b; }
DEVICE unsigned long long int_div(unsigned long long a, unsigned long long b) { return b == 0 ? 0 : a / b; }
DEVICE int int_div(int a, int b) { return b == 0 ? 0 : b == -1 ? int(0u - unsigned(a)) : a / b; }
DEVICE long long int_div(long long a, long long b) {
  return b == 0 ? 0 : b == -1 ? (long long)(0ull - (unsigned long long)a) : a / b;
}
// The remainder with the sign of the dividend.
DEVICE unsigned int_rem(unsigned a, unsigned b) { return b == 0 ? 0 : a % b; }
DEVICE unsigned long long int_rem(unsigned long long a, unsigned long long b) { return b == 0 ? 0 : a % b; }
DEVICE int int_rem(int a, int b) { return b == 0 || b == -1 ? 0 : a % b; }
DEVICE long long int_rem(long long a, long long b) { return b == 0 || b == -1 ? 0 : a % b; }
// The remainder with the sign of the divisor.
template <class T>
DEVICE T int_mod(T a, T b) {
  const T m = int_rem(a, b);
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}
DEVICE long long int_pow(long long base, long long exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  unsigned long long result = 1, b = (unsigned long long)base;
  for (unsigned long long e = (unsigned long long)exponent; e; e >>= 1, b *= b)
    if (e & 1) result *= b;
  return (long long)result;
}
// Shifts by a negative amount, or by the type's width or more, shift every bit out.
template <class T, class B>
DEVICE T shift_left(T a, B b, int bits) { return (unsigned long long)b >= (unsigned long long)bits ? T(0) : T(a << int(b)); }
template <class T, class B>
DEVICE T shift_right(T a, B b, int bits) { return (unsigned long long)b >= (unsigned long long)bits ? T(0) : T(a >> int(b)); }
template <class T, class B>
DEVICE T shift_right_signed(T a, B b) {
  const int last = int(sizeof(T)) * 8 - 1;
  return a >> ((unsigned long long)b > (unsigned long long)last ? last : int(b));
}

// Floats to integers, toward zero. Out of range: the nearest of 64 bits, NaN gives 0; fewer bits are its low ones.
template <class T>
DEVICE long long to_i64(T v) {
  if (!(v > T(-9223372036854775808.0))) return v != v ? 0 : (long long)(1ull << 63);
  return v < T(9223372036854775808.0) ? (long long)v : (long long)(~0ull >> 1);
}
template <class T>
DEVICE unsigned long long to_u64(T v) {
  if (!(v >= T(9223372036854775808.0))) return (unsigned long long)to_i64(v);
  return v < T(18446744073709551616.0) ? (unsigned long long)v : ~0ull;
}
template <class T>
DEVICE int to_i32(T v) {
  if (v > T(-2147483648.0) && v < T(2147483648.0)) return int(v);
  return int(unsigned((unsigned long long)to_i64(v)));
}

// ---- vectors ---------------------------------------------------------------------------------------------------------

// N neighbours, moved by one instruction where they make 2, 4, 8 or 16 bytes.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
};
// REQUIRES: the address is a multiple of the vector's size.
template <int N, class T>
DEVICE Vec<T, N> load_vec(const T* p) { return *reinterpret_cast<const Vec<T, N>*>(p); }
template <int N, class T>
DEVICE void store_vec(T* p, const Vec<T, N>& v) { *reinterpret_cast<Vec<T, N>*>(p) = v; }
// The same where only the first `count` elements are there (more than N: all); the others read as zero, or are not
// written.
template <int N, class T>
DEVICE Vec<T, N> load_part(const T* p, long long count) {
  if (count >= N) return load_vec<N>(p);
  Vec<T, N> r = {};
  UNROLL
  for (int i = 0; i < N; ++i)
    if (i < count) r.v[i] = p[i];
  return r;
}
template <int N, class T>
DEVICE void store_part(T* p, const Vec<T, N>& v, long long count) {
  if (count >= N) return store_vec(p, v);
  UNROLL
  for (int i = 0; i < N; ++i)
    if (i < count) p[i] = v.v[i];
}

// ---- reductions ------------------------------------------------------------------------------------------------------

struct Sum {
  template <class T>
  DEVICE T operator()(T a, T b) const { return a + b; }
};
struct Max {
  DEVICE float operator()(float a, float b) const { return max_nan(a, b); }
  DEVICE double operator()(double a, double b) const { return max_nan(a, b); }
  template <class T>
  DEVICE T operator()(T a, T b) const { return a < b ? b : a; }
};
struct Min {
  DEVICE float operator()(float a, float b) const { return min_nan(a, b); }
  DEVICE double operator()(double a, double b) const { return min_nan(a, b); }
  template <class T>
  DEVICE T operator()(T a, T b) const { return b < a ? b : a; }
};
// Over groups of LANES neighbouring lanes (a power of two, at most 32); every lane gets the result. The order is fixed.
template <int LANES, class T, class F>
DEVICE T reduce_lanes(T v, F f) {
  UNROLL
  for (int mask = LANES / 2; mask > 0; mask /= 2) v = f(v, shuffle_xor(v, mask));
  return v;
}
template <class T, class F>
DEVICE T reduce_warp(T v, F f) { return reduce_lanes<32>(v, f); }
// Over a block of THREADS threads (a multiple of 32) along x; every thread gets the result. `buffer` is shared memory
// for THREADS / 32 values, free again after the next __syncthreads.
template <int THREADS, class T, class F>
DEVICE T reduce_block(T v, F f, T* buffer) {
  v = reduce_warp(v, f);
  if (THREADS == 32) return v;
  constexpr int kWarps = THREADS / 32;
  if (threadIdx.x % 32 == 0) buffer[threadIdx.x / 32] = v;
  __syncthreads();
  T all = buffer[0];
  UNROLL
  for (int w = 1; w < kWarps; ++w) all = f(all, buffer[w]);
  return all;
}
