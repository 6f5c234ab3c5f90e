// Block kernels on f32 lanes: arithmetic, elementary functions, comparisons.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pointwise_f32.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/pointwise.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// dst[i] = f(src…[i]) with whole vectors, then a masked rest. R: the result's lane type.
template <int kOperands, class R, class F>
HWY_INLINE void loop(const BlockArgs& k, F f) {
  const DF d;
  const hn::Rebind<R, DF> dr;
  const size_t lanes = hn::Lanes(d), n = k.n;
  auto* out = static_cast<R*>(k.dst);
  const auto* a = static_cast<const float*>(k.src[0]);
  const auto* b = static_cast<const float*>(kOperands > 1 ? k.src[1] : k.src[0]);
  const auto* c = static_cast<const float*>(kOperands > 2 ? k.src[2] : k.src[0]);
  const size_t sa = k.step[0], sb = kOperands > 1 ? k.step[1] : 0, sc = kOperands > 2 ? k.step[2] : 0;
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(f(d, hn::LoadU(d, a + i * sa), hn::LoadU(d, b + i * sb), hn::LoadU(d, c + i * sc)), dr, out + i);
  if (i < n) {
    const size_t r = n - i;
    auto load = [&](const float* p, size_t s) HWY_ATTR { return s ? load_n(d, p + i, r) : hn::LoadU(d, p); };
    store_n(f(d, load(a, sa), load(b, sb), load(c, sc)), dr, out + i, r);
  }
}

HWY_INLINE hn::VFromD<DI> as_mask(hn::Mask<DF> m) { return hn::BitCast(DI(), hn::VecFromMask(DF(), m)); }

#define UNARY(name, expr)                                                    \
  void name(const BlockArgs& k) {                                            \
    loop<1, float>(k, [](DF d, VF x, VF, VF) HWY_ATTR { (void)d; return expr; }); \
  }
#define BINARY(name, expr)                                                       \
  void name(const BlockArgs& k) {                                                \
    loop<2, float>(k, [](DF d, VF a, VF b, VF) HWY_ATTR { (void)d; return expr; }); \
  }
#define TERNARY(name, expr)                                                 \
  void name(const BlockArgs& k) {                                           \
    loop<3, float>(k, [](DF, VF a, VF b, VF c) HWY_ATTR { return expr; });  \
  }
#define TEST(name, expr)                                                                  \
  void name(const BlockArgs& k) {                                                         \
    loop<2, int32_t>(k, [](DF, VF a, VF b, VF) HWY_ATTR { (void)b; return as_mask(expr); }); \
  }
#define LIBM(name, fn) UNARY(name, by_lane(d, x, [](double v) { return std::fn(v); }))

UNARY(f_neg, hn::Neg(x))
UNARY(f_abs, hn::Abs(x))
UNARY(f_sign, hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::Eq(x, hn::Zero(d))), hn::Abs(x), hn::CopySign(hn::Set(d, 1.0f), x)))
UNARY(f_floor, hn::Floor(x))
UNARY(f_ceil, hn::Ceil(x))
UNARY(f_round, hn::Round(x))
UNARY(f_trunc, hn::Trunc(x))
UNARY(f_sqrt, hn::Sqrt(x))
UNARY(f_exp, exp_f32(d, x))
UNARY(f_log, log_f32(d, x))
UNARY(f_sin, sin_f32(d, x))
UNARY(f_cos, cos_f32(d, x))
LIBM(f_tan, tan)
UNARY(f_asin, asin_f32(d, x))
UNARY(f_acos, acos_f32(d, x))
UNARY(f_atan, atan_f32(d, x))
UNARY(f_sinh, sinh_f32(d, x))
UNARY(f_cosh, cosh_f32(d, x))
UNARY(f_asinh, asinh_f32(d, x))
UNARY(f_acosh, acosh_f32(d, x))
UNARY(f_atanh, atanh_f32(d, x))
UNARY(f_tanh, tanh_f32(d, x))
UNARY(f_erf, erf_f32(d, x))
UNARY(f_sigmoid, sigmoid_f32(d, x))
UNARY(f_log1p, log1p_f32(d, x))
UNARY(f_expm1, expm1_f32(d, x))
BINARY(f_add, hn::Add(a, b))
BINARY(f_sub, hn::Sub(a, b))
BINARY(f_mul, hn::Mul(a, b))
BINARY(f_div, hn::Div(a, b))
BINARY(f_pow, pow_f32(d, a, b))
// The x86 gives the second operand when either is a NaN, so only a NaN in the first needs care.
BINARY(f_min, hn::IfThenElse(hn::IsNaN(a), a, hn::Min(a, b)))
BINARY(f_max, hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, b)))
// b is a constant and no NaN.
BINARY(f_min_const, hn::Min(b, a))
BINARY(f_max_const, hn::Max(b, a))
TERNARY(f_mul_add, hn::MulAdd(a, b, c))
TERNARY(f_mul_sub, hn::MulSub(a, b, c))
TERNARY(f_neg_mul_add, hn::NegMulAdd(a, b, c))
TEST(f_eq, hn::Eq(a, b))
TEST(f_lt, hn::Lt(a, b))
TEST(f_le, hn::Le(a, b))

void f_is_nan(const BlockArgs& k) {
  loop<1, int32_t>(k, [](DF, VF x, VF, VF) HWY_ATTR { return as_mask(hn::IsNaN(x)); });
}
void f_is_inf(const BlockArgs& k) {
  loop<1, int32_t>(k, [](DF d, VF x, VF, VF) HWY_ATTR { return as_mask(hn::Eq(hn::Abs(x), hn::Inf(d))); });
}

template <class F>
HWY_INLINE void lane_pairs(const BlockArgs& k, F f) {
  auto* out = static_cast<float*>(k.dst);
  const auto *a = static_cast<const float*>(k.src[0]), *b = static_cast<const float*>(k.src[1]);
  for (size_t i = 0; i < k.n; ++i) out[i] = f(a[i * k.step[0]], b[i * k.step[1]]);
}
void f_fmod(const BlockArgs& k) {
  lane_pairs(k, [](float a, float b) { return std::fmod(a, b); });
}
void f_mod(const BlockArgs& k) {
  lane_pairs(k, [](float a, float b) {
    const float m = std::fmod(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
  });
}

BlockFn find_f32(Prim p) {
  switch (p) {
#define CASE(name) \
  case Prim::name: return f_##name;
    CASE(neg) CASE(abs) CASE(sign) CASE(floor) CASE(ceil) CASE(round) CASE(trunc) CASE(sqrt) CASE(exp) CASE(log)
    CASE(sin) CASE(cos) CASE(tan) CASE(asin) CASE(acos) CASE(atan) CASE(sinh) CASE(cosh) CASE(asinh) CASE(acosh)
    CASE(atanh) CASE(tanh) CASE(erf) CASE(sigmoid) CASE(log1p) CASE(expm1) CASE(is_nan) CASE(is_inf) CASE(add)
    CASE(sub) CASE(mul) CASE(div) CASE(mod) CASE(fmod) CASE(pow) CASE(min) CASE(max) CASE(eq) CASE(lt) CASE(le)
#undef CASE
    default: return nullptr;
  }
}
BlockFn find_f32_fused(Fused f) {
  switch (f) {
    case Fused::mul_add: return f_mul_add;
    case Fused::mul_sub: return f_mul_sub;
    case Fused::neg_mul_add: return f_neg_mul_add;
    case Fused::max_const: return f_max_const;
    case Fused::min_const: return f_min_const;
  }
  return nullptr;
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(find_f32);
HWY_EXPORT(find_f32_fused);
BlockFn f32_kernel(Prim p) { return HWY_DYNAMIC_DISPATCH(find_f32)(p); }
BlockFn f32_fused_kernel(Fused f) { return HWY_DYNAMIC_DISPATCH(find_f32_fused)(f); }
}  // namespace tenon::cpu
#endif
