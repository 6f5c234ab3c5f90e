// Vector forms of the epilogue's activations, in single precision. Included once per instruction set.
#if defined(TENON_CPU_ACTIVATION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_CPU_ACTIVATION_INL_H
#undef TENON_CPU_ACTIVATION_INL_H
#else
#define TENON_CPU_ACTIVATION_INL_H
#endif

#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using V = hn::Vec<F>;
// Vectors have a fixed length on every instruction set that this folder is compiled for.
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F()));

// erfc(z) for z >= 0: t exp(-z^2 + P(t)), t = 1 / (1 + z / 2); small relative error also far out.
HWY_INLINE V erfc_positive(V z) {
  const F d;
  const V one = hn::Set(d, 1.0f);
  const V t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.5f), z, one));
  const V p = poly(d, t, -1.265448f, 0.998632783f, 0.386640412f, 3.46027998e-2f, 1.26758705e-3f, -8.02804335e-2f,
                   -0.696251897f, 1.15673376f, -0.680827177f, 0.144930214f);
  return hn::Mul(t, exp_nonpositive(d, hn::NegMulAdd(z, z, p)));
}

// 0.5 x erfc(-x / sqrt(2)), which keeps the small values at the left exact.
HWY_INLINE V gelu_erf(V x) {
  const F d;
  const V c = erfc_positive(hn::Abs(hn::Mul(x, hn::Set(d, 0.707106781f))));
  const V twice = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), c, hn::Sub(hn::Set(d, 2.0f), c));
  return hn::Mul(hn::Mul(hn::Set(d, 0.5f), x), twice);
}

HWY_INLINE V gelu_tanh(V x) {
  const F d;
  // 0.5 (1 + tanh(w)) = sigmoid(2 w)
  const V cube = hn::Mul(hn::Mul(x, x), x);
  const V w2 = hn::Mul(hn::Set(d, 1.5957691216f), hn::MulAdd(hn::Set(d, 0.044715f), cube, x));
  return hn::Mul(x, sigmoid_f32(d, w2));
}

// a and b are the activation's parameters.
template <Activation kAct>
HWY_INLINE V activate(V x, V a, V b) {
  const F d;
  if constexpr (kAct == Activation::relu) return hn::Max(hn::Zero(d), x);
  if constexpr (kAct == Activation::clip) return hn::Min(b, hn::Max(a, x));
  if constexpr (kAct == Activation::sigmoid) return sigmoid_f32(d, x);
  if constexpr (kAct == Activation::silu) return hn::Mul(x, sigmoid_f32(d, x));
  if constexpr (kAct == Activation::hard_swish) {
    const V s = hn::MulAdd(x, hn::Set(d, 1.0f / 6.0f), hn::Set(d, 0.5f));
    return hn::Mul(x, clamp_keep_nan(d, s, 0.0f, 1.0f));
  }
  if constexpr (kAct == Activation::hard_sigmoid) return clamp_keep_nan(d, hn::MulAdd(a, x, b), 0.0f, 1.0f);
  if constexpr (kAct == Activation::gelu_erf) return gelu_erf(x);
  if constexpr (kAct == Activation::gelu_tanh) return gelu_tanh(x);
  if constexpr (kAct == Activation::tanh) return tanh_f32(d, x);
  if constexpr (kAct == Activation::leaky_relu) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(a, x), x);
  }
  return x;
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
