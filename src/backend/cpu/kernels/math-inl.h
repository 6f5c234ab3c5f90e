// Elementary functions on f32 vectors, right for NaN, infinities and signed zeros and within 4 ulp elsewhere.
// Each polynomial is a minimax fit of our own on the interval named beside it.
#if defined(TENON_CPU_MATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_CPU_MATH_INL_H
#undef TENON_CPU_MATH_INL_H
#else
#define TENON_CPU_MATH_INL_H
#endif

#include <cmath>

#include "hwy/contrib/math/math-inl.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// c[0] + c[1] x + …, by Horner's rule.
template <class D, class V, class C0>
HWY_INLINE V poly(D d, V, C0 c0) {
  return hn::Set(d, hn::TFromD<D>(c0));
}
template <class D, class V, class C0, class... C>
HWY_INLINE V poly(D d, V x, C0 c0, C... rest) {
  return hn::MulAdd(poly(d, x, rest...), x, hn::Set(d, hn::TFromD<D>(c0)));
}

// m * 2^n for whole n in [-300, 300], with gradual underflow and overflow to infinity.
template <class D, class V>
HWY_INLINE V scale(D d, V m, V n) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(V) == 64) return V{_mm512_scalef_ps(m.raw, n.raw)};
#endif
  const hn::RebindToSigned<D> di;
  const auto e = hn::NearestInt(n), half = hn::ShiftRight<1>(e);
  const auto bias = hn::Set(di, 127);
  const V a = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V b = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(e, half), bias)));
  return hn::Mul(hn::Mul(m, a), b);
}

// x = n ln2 + r with |r| <= ln2 / 2.
template <class D, class V>
HWY_INLINE V reduce_ln2(D d, V x, V& n) {
  n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  // ln2 in two parts; the first has few bits, so its product with n is exact.
  const V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  return hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
}

// Min and Max of the x86 give their second operand when either is a NaN, which keeps x here.
template <class D, class V>
HWY_INLINE V clamp_keep_nan(D d, V x, float low, float high) {
  const V y = hn::Min(hn::Set(d, high), hn::Max(hn::Set(d, low), x));
#if HWY_ARCH_X86
  return y;
#else
  return hn::IfThenElse(hn::IsNaN(x), x, y);
#endif
}

template <class D, class V>
HWY_INLINE V exp_f32(D d, V x) {
  V n;
  const V r = reduce_ln2(d, clamp_keep_nan(d, x, -104.0f, 89.0f), n);
  const V p = poly(d, r, 5.000000097e-01f, 1.666651711e-01f, 4.166620045e-02f, 8.369096473e-03f, 1.395084764e-03f);
  return scale(d, hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f)), n);
}

// For arguments that are <= 0 or NaN, as after subtracting a row's maximum. Below -87 it gives 0: numbers that are not normal
// are slow to make and to multiply.
template <class D, class V>
HWY_INLINE V exp_nonpositive(D d, V x) {
  const V one = hn::Set(d, 1.0f), lowest = hn::Set(d, -87.0f);
  const V clamped = hn::Max(lowest, x);
#if HWY_TARGET == HWY_AVX3
  V n;
  const V r = reduce_ln2(d, clamped, n);
#else
  // Adding 1.5 * 2^23 rounds to whole numbers and leaves n in the low bits, ready to become an exponent.
  const V magic = hn::Set(d, 12582912.0f);
  const V shifted = hn::MulAdd(clamped, hn::Set(d, 1.44269504f), magic), n = hn::Sub(shifted, magic);
  const V r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), clamped));
#endif
  const V p = poly(d, r, 5.000000097e-01f, 1.666651711e-01f, 4.166620045e-02f, 8.369096473e-03f, 1.395084764e-03f);
  const V m = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), one);
#if HWY_TARGET == HWY_AVX3
  const V y = scale(d, m, n);
#else
  const hn::RebindToSigned<D> di;
  const V y = hn::Mul(m, hn::BitCast(d, hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, shifted)), hn::BitCast(di, one))));
#endif
  return hn::IfThenZeroElse(hn::Lt(x, lowest), y);
}

template <class D, class V>
HWY_INLINE V expm1_f32(D d, V x) {
  V n;
  const V half = hn::Set(d, 0.5f);
  const V r = reduce_ln2(d, clamp_keep_nan(d, x, -30.0f, 89.0f), n);
  const V p = poly(d, r, 5.000000047e-01f, 1.666666682e-01f, 4.166635079e-02f, 8.333273433e-03f, 1.394132506e-03f,
                   1.991400025e-04f);
  const V q = hn::MulAdd(p, hn::Mul(r, r), r);  // e^r - 1
  // 2^n q + (2^n - 1), with 2^(n-1) so that n = 128 does not overflow before its time.
  const hn::RebindToSigned<D> di;
  const auto e = hn::Sub(hn::NearestInt(n), hn::Set(di, 1));
  const V s = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(e, hn::Set(di, 127))));
  const V y = hn::MulAdd(q, s, hn::Sub(s, half));
  // Zero keeps its sign, and what is tiny returns itself.
  const V near = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, q);
  return hn::IfThenElse(hn::Eq(n, hn::Zero(d)), near, hn::IfThenElse(hn::IsNaN(x), x, hn::Add(y, y)));
}

// n ln2 + log(1 + f) for |f| < sqrt(2) - 1 or a little more.
template <class D, class V>
HWY_INLINE V log_join(D d, V f, V n) {
  const V f2 = hn::Mul(f, f);
  const V p = poly(d, f, 3.333331673e-01f, -2.500081043e-01f, 2.000228608e-01f, -1.662455314e-01f, 1.418119611e-01f,
                   -1.312876763e-01f, 1.288162240e-01f, -7.859545868e-02f);
  V low = hn::MulAdd(n, hn::Set(d, -2.12194440e-4f), hn::Mul(hn::Mul(p, f2), f));
  low = hn::MulAdd(f2, hn::Set(d, -0.5f), low);
  return hn::MulAdd(n, hn::Set(d, 0.693359375f), hn::Add(f, low));
}

#if HWY_TARGET == HWY_AVX3
template <class D, class V>
HWY_INLINE V log_f32(D d, V x) {
  static_assert(sizeof(V) == 64);
  const V one = hn::Set(d, 1.0f);
  V n{_mm512_getexp_ps(x.raw)};
  V m{_mm512_getmant_ps(x.raw, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
  const auto upper = hn::Ge(m, hn::Set(d, 1.41421356f));
  m = hn::IfThenElse(upper, hn::Mul(m, hn::Set(d, 0.5f)), m);
  n = hn::IfThenElse(upper, hn::Add(n, one), n);
  const V y = log_join(d, hn::Sub(m, one), n);
  // By the class of x: NaN stays, 0 gives -inf, below 0 NaN, +inf itself.
  return V{_mm512_fixupimm_ps(y.raw, x.raw, _mm512_set1_epi32(0x03530422), 0)};
}
#else
template <class D, class V>
HWY_INLINE V log_f32(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V inf = hn::Inf(d);
  const auto subnormal = hn::Lt(x, hn::Set(d, 1.17549435e-38f));
  const V up = hn::IfThenElse(subnormal, hn::Mul(x, hn::Set(d, 8388608.0f)), x);
  const auto bits = hn::BitCast(di, up);
  // Take sqrt(1/2) away so that the mantissa falls into [sqrt(1/2), sqrt(2)).
  const auto e = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3f3504f3)));
  const V m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(e)));
  V n = hn::ConvertTo(d, e);
  n = hn::IfThenElse(subnormal, hn::Sub(n, hn::Set(d, 23.0f)), n);
  V y = log_join(d, hn::Sub(m, hn::Set(d, 1.0f)), n);
  y = hn::IfThenElse(hn::Lt(x, inf), y, x);  // +inf and NaN give themselves
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(inf), y);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::NaN(d), y);
}
#endif

// log(1 + x) through u = 1 + x and the part of x that u lost.
template <class D, class V>
HWY_INLINE V log1p_f32(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V u = hn::Add(one, x);
  const V lost = hn::Sub(x, hn::Sub(u, one));
  // Where u is 0, negative or not finite the logarithm is the answer; where x vanished beside 1, x is.
  const V log_u = log_f32(d, u);
  const auto plain = hn::And(hn::Gt(u, hn::Zero(d)), hn::Lt(u, hn::Inf(d)));
  const V y = hn::IfThenElse(plain, hn::Add(log_u, hn::Div(lost, u)), log_u);
  return hn::IfThenElse(hn::Eq(u, one), x, y);
}

template <class D, class V>
HWY_INLINE V sigmoid_f32(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exp_f32(d, hn::Neg(x))));
}

template <class D, class V>
HWY_INLINE V tanh_f32(D d, V x) {
  const V one = hn::Set(d, 1.0f), two = hn::Set(d, 2.0f);
  const V a = hn::Abs(x), x2 = hn::Mul(x, x);
  // Small: x + x^3 P(x^2), |x| < 0.6.
  const V p = poly(d, x2, -3.333329927e-01f, 1.333195826e-01f, -5.378668467e-02f, 2.080538801e-02f, -5.905872132e-03f);
  const V small = hn::MulAdd(hn::Mul(x, x2), p, x);
  // Large: 1 - 2 / (e^2|x| + 1).
  const V e = exp_f32(d, hn::Add(a, a));
  const V large = hn::CopySign(hn::Sub(one, hn::Div(two, hn::Add(e, one))), x);
  return hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.6f)), small, large);
}

template <class D, class V>
HWY_INLINE V erf_f32(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V a = hn::Abs(x), x2 = hn::Mul(x, x);
  // |x| < 1: x + x P(x^2).
  const V p = poly(d, x2, 1.283791657e-01f, -3.761262584e-01f, 1.128358527e-01f, -2.685381607e-02f, 5.188334503e-03f,
                   -8.010247664e-04f, 7.854026341e-05f);
  const V small = hn::MulAdd(x, p, x);
  // Up to 4, where it reaches 1: 1 - e^-Q(|x|), Q = -log(erfc).
  const V b = clamp_keep_nan(d, a, 0.0f, 4.0f);
  const V q = poly(d, b, 1.774872442e-04f, 1.127749596e+00f, 6.370596927e-01f, 1.040374170e-01f, -2.227711705e-02f,
                   3.055615697e-03f, -1.971826223e-04f);
  const V large = hn::CopySign(hn::Sub(one, exp_f32(d, hn::Neg(q))), x);
  return hn::IfThenElse(hn::Lt(a, one), small, large);
}

// pow through double: exp(y log|x|) on half vectors, then the special cases of C's pow.
template <class DD, class VD>
HWY_INLINE VD pow_core(DD dd, VD x, VD y) {
  const hn::RebindToSigned<DD> di;
  // x is a widened f32, so never subnormal as double. s = (m-1)/(m+1), log m = 2s + s^3 P(s^2).
  const auto bits = hn::BitCast(di, x);
  const auto offset = hn::Set(di, int64_t{0x3fe6a09e667f3bcd});
#if HWY_TARGET == HWY_AVX3
  const auto e = hn::ShiftRight<52>(hn::Sub(bits, offset));
#else
  // No 64-bit arithmetic shift: shift a positive number and take the bias away again.
  const auto e = hn::Sub(hn::BitCast(di, hn::ShiftRight<52>(hn::BitCast(hn::RebindToUnsigned<DD>(), hn::Add(hn::Sub(bits, offset), hn::Set(di, int64_t{1024} << 52))))),
                         hn::Set(di, int64_t{1024}));
#endif
  const VD m = hn::BitCast(dd, hn::Sub(bits, hn::ShiftLeft<52>(e)));
  const VD n = hn::ConvertTo(dd, e);
  const VD one = hn::Set(dd, 1.0);
  const VD s = hn::Div(hn::Sub(m, one), hn::Add(m, one)), s2 = hn::Mul(s, s);
  const VD p = poly(dd, s2, 0.6666666668, 0.3999999562, 0.2857210900, 0.2217619622, 0.1958403111);
  const VD logm = hn::MulAdd(hn::Mul(s, s2), p, hn::Add(s, s));
  const VD logx = hn::MulAdd(n, hn::Set(dd, 0.69314718055994531), logm);
  VD t = hn::Mul(y, logx);
  t = hn::Min(hn::Max(t, hn::Set(dd, -200.0)), hn::Set(dd, 200.0));
  const VD k = hn::Round(hn::Mul(t, hn::Set(dd, 1.4426950408889634)));
  const VD r = hn::NegMulAdd(k, hn::Set(dd, 0.69314718055994531), t);
  const VD q = poly(dd, r, 1.0, 1.0, 0.5, 0.1666666679, 0.04166666706, 0.008333280659, 0.001388879534, 1.990964217e-04,
                    2.488811427e-05);
  const auto ki = hn::ShiftLeft<52>(hn::Add(hn::ConvertTo(di, k), hn::Set(di, int64_t{1023})));
  return hn::Mul(q, hn::BitCast(dd, ki));
}

template <class D, class V>
HWY_INLINE V pow_f32(D d, V x, V y) {
  const hn::Repartition<double, D> dd;
  const hn::Half<D> dh;
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), inf = hn::Inf(d);
  const V a = hn::Abs(x);
  const auto low = pow_core(dd, hn::PromoteTo(dd, hn::LowerHalf(dh, a)), hn::PromoteTo(dd, hn::LowerHalf(dh, y)));
  const auto high = pow_core(dd, hn::PromoteTo(dd, hn::UpperHalf(dh, a)), hn::PromoteTo(dd, hn::UpperHalf(dh, y)));
  V r = hn::Combine(d, hn::DemoteTo(dh, high), hn::DemoteTo(dh, low));
  const auto ypos = hn::Gt(y, zero), yneg = hn::Lt(y, zero);
  const auto is_inf_y = hn::IsInf(y);
  // |x| of zero or infinity, and an infinite y, have limits as answers.
  r = hn::IfThenElse(hn::Eq(a, zero), hn::IfThenElse(ypos, zero, inf), r);
  r = hn::IfThenElse(hn::Eq(a, inf), hn::IfThenElse(ypos, inf, zero), r);
  const auto grows = hn::Or(hn::And(hn::Gt(a, one), ypos), hn::And(hn::Lt(a, one), yneg));
  r = hn::IfThenElse(is_inf_y, hn::IfThenElse(hn::Eq(a, one), one, hn::IfThenElse(grows, inf, zero)), r);
  // Negative bases: odd whole exponents flip the sign, fractional ones have no answer. Beyond 2^24 all are even.
  const V half_y = hn::Mul(y, hn::Set(d, 0.5f));
  const auto whole = hn::Eq(hn::Floor(y), y);
  const auto odd = hn::And(whole, hn::And(hn::Ne(hn::Floor(half_y), half_y), hn::Lt(hn::Abs(y), inf)));
  const V sign = hn::And(x, hn::SignBit(d));
  r = hn::IfThenElse(odd, hn::Xor(r, sign), r);
  const auto broken = hn::And(hn::And(hn::Lt(x, zero), hn::Ne(a, inf)), hn::Not(whole));
  r = hn::IfThenElse(broken, hn::NaN(d), r);
  r = hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::IsNaN(y)), hn::NaN(d), r);
  return hn::IfThenElse(hn::Or(hn::Eq(y, zero), hn::Eq(x, one)), one, r);
}

// A function of libm on each lane, in double. For what is rare.
template <class D, class V, class F>
HWY_INLINE V by_lane(D d, V x, F f) {
  HWY_ALIGN float lanes[HWY_LANES(float)];
  hn::Store(x, d, lanes);
  for (float& v : lanes) v = float(f(double(v)));
  return hn::Load(d, lanes);
}

// highway's reduction holds to about 39000; libm takes whatever is larger, and infinities and NaN.
template <class D, class V>
HWY_INLINE V sin_f32(D d, V x) {
  if (!hn::AllTrue(d, hn::Le(hn::Abs(x), hn::Set(d, 30000.0f)))) return by_lane(d, x, [](double v) { return std::sin(v); });
  return hn::Sin(d, x);
}
template <class D, class V>
HWY_INLINE V cos_f32(D d, V x) {
  if (!hn::AllTrue(d, hn::Le(hn::Abs(x), hn::Set(d, 30000.0f)))) return by_lane(d, x, [](double v) { return std::cos(v); });
  return hn::Cos(d, x);
}

template <class D, class V>
HWY_INLINE V sinh_f32(D d, V x) {
  const V one = hn::Set(d, 1.0f), half = hn::Set(d, 0.5f);
  const V a = hn::Abs(x);
  const V t = expm1_f32(d, a);
  const V small = hn::Mul(half, hn::Add(t, hn::Div(t, hn::Add(t, one))));
  // e^(|x| - ln2) reaches as far as sinh does.
  const V e = exp_f32(d, hn::Mul(half, a));
  const V large = hn::Mul(hn::Mul(half, e), e);
  return hn::CopySign(hn::IfThenElse(hn::Lt(a, hn::Set(d, 20.0f)), small, large), x);
}
template <class D, class V>
HWY_INLINE V cosh_f32(D d, V x) {
  const V half = hn::Set(d, 0.5f), a = hn::Abs(x);
  const V e = exp_f32(d, hn::Mul(half, a));
  const V small_e = exp_f32(d, a);
  const V small = hn::Mul(half, hn::Add(small_e, hn::Div(hn::Set(d, 1.0f), small_e)));
  return hn::IfThenElse(hn::Lt(a, hn::Set(d, 20.0f)), small, hn::Mul(hn::Mul(half, e), e));
}

template <class D, class V>
HWY_INLINE V atan_f32(D d, V x) {
  // highway's holds for finite arguments; the limit stands in for the rest.
  const V limit = hn::CopySign(hn::Set(d, 1.57079633f), x);
  const V y = hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 1e9f)), hn::Atan(d, x), limit);
  return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::Eq(x, hn::Zero(d))), x, y);
}
template <class D, class V>
HWY_INLINE V asin_f32(D d, V x) {
  const V y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, hn::Asin(d, x));
  return hn::IfThenElse(hn::Le(hn::Abs(x), hn::Set(d, 1.0f)), y, hn::NaN(d));
}
template <class D, class V>
HWY_INLINE V acos_f32(D d, V x) {
  return hn::IfThenElse(hn::Le(hn::Abs(x), hn::Set(d, 1.0f)), hn::Acos(d, x), hn::NaN(d));
}
// log(2a) once a^2 + 1 is a^2.
template <class D, class V>
HWY_INLINE V asinh_f32(D d, V x) {
  const V a = hn::Abs(x), one = hn::Set(d, 1.0f), a2 = hn::Mul(a, a);
  const V near = log1p_f32(d, hn::Add(a, hn::Div(a2, hn::Add(one, hn::Sqrt(hn::Add(a2, one))))));
  const V far = hn::Add(log_f32(d, a), hn::Set(d, 0.693147181f));
  return hn::CopySign(hn::IfThenElse(hn::Lt(a, hn::Set(d, 1e8f)), near, far), x);
}
template <class D, class V>
HWY_INLINE V acosh_f32(D d, V x) {
  const V t = hn::Sub(x, hn::Set(d, 1.0f));
  const V near = log1p_f32(d, hn::Add(t, hn::Sqrt(hn::MulAdd(t, t, hn::Add(t, t)))));
  const V far = hn::Add(log_f32(d, x), hn::Set(d, 0.693147181f));
  const V y = hn::IfThenElse(hn::Lt(x, hn::Set(d, 1e8f)), near, far);
  return hn::IfThenElse(hn::Lt(t, hn::Zero(d)), hn::NaN(d), y);
}
template <class D, class V>
HWY_INLINE V atanh_f32(D d, V x) {
  const V a = hn::Abs(x), one = hn::Set(d, 1.0f);
  const V y = hn::Mul(hn::Set(d, 0.5f), log1p_f32(d, hn::Div(hn::Add(a, a), hn::Sub(one, a))));
  return hn::IfThenElse(hn::Le(a, one), hn::CopySign(y, x), hn::NaN(d));
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
