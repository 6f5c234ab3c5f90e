// Vector forms of the epilogue's activations, in single precision. Included once per instruction set.
#if defined(TENON_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_CPU_ACTIVATION_INL_H_
#undef TENON_CPU_ACTIVATION_INL_H_
#else
#define TENON_CPU_ACTIVATION_INL_H_
#endif

#include "backend/cpu/kernels/epilogue.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using I = hn::ScalableTag<int32_t>;
using V = hn::Vec<F>;
// Vectors have a fixed length on every instruction set that this folder is compiled for.
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F()));

// The first n floats at p, 0 < n < kLanes, and zeros. Never reads further.
HWY_INLINE V load_first(const float* p, int64_t n) {
  const F d;
#if HWY_TARGET == HWY_SSE4
  // Without masked loads in the instruction set Highway's reads a whole aligned vector.
  HWY_ALIGN float copy[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) copy[i] = p[i];
  return hn::Load(d, copy);
#else
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, p);
#endif
}

// A NaN in x passes: the x86 instructions return their second operand when either is NaN.
HWY_INLINE V clamp_keep_nan(V lo, V hi, V x) {
  return hn::Min(hi, hn::Max(lo, x));
}

// exp(x) = 2^n exp(r), |r| <= ln(2)/2; 2^n is applied in two steps so that the ends reach 0 and inf.
HWY_INLINE V exp_v(V x) {
  const F d;
  const I di;
  x = clamp_keep_nan(hn::Set(d, -104.0f), hn::Set(d, 104.0f), x);
  const V n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 1.39338835e-3f);
  p = hn::MulAdd(p, r, hn::Set(d, 8.3633356e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.16664628e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.16666576f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::Add(hn::MulAdd(hn::Mul(p, r), r, r), hn::Set(d, 1.0f));
  const auto ni = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(ni);
  const auto bias = hn::Set(di, 127);
  const V s1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V s2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(ni, half), bias)));
  // A NaN has no sensible n: keep it.
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Mul(hn::Mul(p, s1), s2));
}

HWY_INLINE V sigmoid_v(V x) {
  const F d;
  const V one = hn::Set(d, 1.0f);
  // Below -87 exp would give subnormals, which are slow and vanish in the sum.
  return hn::Div(one, hn::Add(one, exp_v(hn::Max(hn::Set(d, -87.0f), hn::Neg(x)))));
}

HWY_INLINE V tanh_v(V x) {
  const F d;
  const V ax = hn::Abs(x);
  const V u = hn::Mul(x, x);
  // Small |x|: x times a polynomial in x^2, where 1 - 2 / (exp(2x) + 1) would cancel.
  V p = hn::Set(d, -5.47360494e-3f);
  p = hn::MulAdd(p, u, hn::Set(d, 2.04208532e-2f));
  p = hn::MulAdd(p, u, hn::Set(d, -5.36673837e-2f));
  p = hn::MulAdd(p, u, hn::Set(d, 0.133304471f));
  p = hn::MulAdd(p, u, hn::Set(d, -0.33333231f));
  const V small = hn::MulAdd(hn::Mul(p, u), x, x);
  const V one = hn::Set(d, 1.0f);
  const V e = exp_v(hn::Add(ax, ax));
  const V large = hn::CopySign(hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(e, one))), x);
  const V y = hn::IfThenElse(hn::Lt(ax, hn::Set(d, 0.64f)), small, large);
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// erfc(z) for z >= 0: t exp(-z^2 + P(t)), t = 1 / (1 + z / 2); small relative error also far out.
HWY_INLINE V erfc_positive_v(V z) {
  const F d;
  const V t = hn::Div(hn::Set(d, 1.0f), hn::MulAdd(hn::Set(d, 0.5f), z, hn::Set(d, 1.0f)));
  V p = hn::Set(d, 0.144930214f);
  p = hn::MulAdd(p, t, hn::Set(d, -0.680827177f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.15673376f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.696251897f));
  p = hn::MulAdd(p, t, hn::Set(d, -8.02804335e-2f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.26758705e-3f));
  p = hn::MulAdd(p, t, hn::Set(d, 3.46027998e-2f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.386640412f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.998632783f));
  p = hn::MulAdd(p, t, hn::Set(d, -1.265448f));
  return hn::Mul(t, exp_v(hn::NegMulAdd(z, z, p)));
}

HWY_INLINE V gelu_erf_v(V x) {
  const F d;
  // Beyond 9 erfc is below 1e-36: taken as 0, and kept out of exp, which would give subnormals or meet an infinity.
  const V far = hn::Set(d, 9.0f);
  const V z = hn::Min(far, hn::Abs(hn::Mul(x, hn::Set(d, 0.707106781f))));
  const V c = hn::IfThenElseZero(hn::Lt(z, far), erfc_positive_v(z));
  const V twice = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), c, hn::Sub(hn::Set(d, 2.0f), c));
  return hn::Mul(hn::Mul(hn::Set(d, 0.5f), x), twice);
}

HWY_INLINE V gelu_tanh_v(V x) {
  const F d;
  // 0.5 (1 + tanh(w)) = sigmoid(2 w)
  const V cube = hn::Mul(hn::Mul(x, x), x);
  const V w2 = hn::Mul(hn::Set(d, 1.5957691216f), hn::MulAdd(hn::Set(d, 0.044715f), cube, x));
  return hn::Mul(x, sigmoid_v(w2));
}

template <Activation kAct>
HWY_INLINE V activate(V x, V a, V b) {
  const F d;
  if constexpr (kAct == Activation::relu) return hn::Max(hn::Zero(d), x);
  if constexpr (kAct == Activation::clip) return clamp_keep_nan(a, b, x);
  if constexpr (kAct == Activation::sigmoid) return sigmoid_v(x);
  if constexpr (kAct == Activation::silu) return hn::Mul(x, sigmoid_v(x));
  if constexpr (kAct == Activation::hard_swish) {
    const V s = hn::MulAdd(x, hn::Set(d, 1.0f / 6.0f), hn::Set(d, 0.5f));
    return hn::Mul(x, clamp_keep_nan(hn::Zero(d), hn::Set(d, 1.0f), s));
  }
  if constexpr (kAct == Activation::hard_sigmoid) {
    return clamp_keep_nan(hn::Zero(d), hn::Set(d, 1.0f), hn::MulAdd(a, x, b));
  }
  if constexpr (kAct == Activation::gelu_erf) return gelu_erf_v(x);
  if constexpr (kAct == Activation::gelu_tanh) return gelu_tanh_v(x);
  if constexpr (kAct == Activation::tanh) return tanh_v(x);
  if constexpr (kAct == Activation::leaky_relu) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(a, x), x);
  }
  return x;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::cpu
HWY_AFTER_NAMESPACE();

#endif
