// Block kernels on integer and f64 lanes, and select.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pointwise_int.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "backend/cpu/kernels/pointwise.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// dst[i] = f(d, a, b) on lanes of T.
template <class T, int kOperands, class F>
HWY_INLINE void loop(const BlockArgs& k, F f) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d), n = k.n;
  auto* out = static_cast<T*>(k.dst);
  const auto* a = static_cast<const T*>(k.src[0]);
  const auto* b = static_cast<const T*>(kOperands > 1 ? k.src[1] : k.src[0]);
  const size_t sa = k.step[0], sb = kOperands > 1 ? k.step[1] : 0;
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i * sa), hn::LoadU(d, b + i * sb)), d, out + i);
  if (i < n) {
    const size_t r = n - i;
    auto load = [&](const T* p, size_t s) HWY_ATTR { return s ? load_n(d, p + i, r) : hn::LoadU(d, p); };
    store_n(f(d, load(a, sa), load(b, sb)), d, out + i, r);
  }
}

// Comparison of lanes of T into 32-bit masks.
template <class T, class F>
HWY_INLINE void test(const BlockArgs& k, F f) {
  const hn::ScalableTag<T> d;
  const hn::Rebind<int32_t, decltype(d)> di;
  const size_t lanes = hn::Lanes(d), n = k.n;
  auto* out = static_cast<int32_t*>(k.dst);
  const auto *a = static_cast<const T*>(k.src[0]), *b = static_cast<const T*>(k.src[1]);
  const size_t sa = k.step[0], sb = k.step[1];
  auto narrow = [&](auto m) HWY_ATTR {
    if constexpr (sizeof(T) == 8) {
      const hn::RebindToUnsigned<decltype(d)> d64;
      const hn::Rebind<uint32_t, decltype(d)> du;
      return hn::BitCast(di, hn::TruncateTo(du, hn::BitCast(d64, hn::VecFromMask(d, m))));
    } else {
      return hn::BitCast(di, hn::VecFromMask(d, m));
    }
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(narrow(f(d, hn::LoadU(d, a + i * sa), hn::LoadU(d, b + i * sb))), di, out + i);
  if (i < n) {
    const size_t r = n - i;
    auto load = [&](const T* p, size_t s) HWY_ATTR { return s ? load_n(d, p + i, r) : hn::LoadU(d, p); };
    store_n(narrow(f(d, load(a, sa), load(b, sb))), di, out + i, r);
  }
}

// One lane after another, for what has no vector form.
template <class T, class R, class F>
HWY_INLINE void lane_pairs(const BlockArgs& k, F f) {
  auto* out = static_cast<R*>(k.dst);
  const auto *a = static_cast<const T*>(k.src[0]), *b = static_cast<const T*>(k.src[1]);
  for (size_t i = 0; i < k.n; ++i) out[i] = f(a[i * k.step[0]], b[i * k.step[1]]);
}
template <class T, class R, class F>
HWY_INLINE void lane_ones(const BlockArgs& k, F f) {
  auto* out = static_cast<R*>(k.dst);
  const auto* a = static_cast<const T*>(k.src[0]);
  for (size_t i = 0; i < k.n; ++i) out[i] = f(a[i * k.step[0]]);
}

#define V2(name, expr)                                                                     \
  template <class T>                                                                       \
  void name(const BlockArgs& k) {                                                          \
    loop<T, 2>(k, [](auto d, auto a, auto b) HWY_ATTR { (void)d; (void)b; return expr; }); \
  }
#define V1(name, expr)                                                                     \
  template <class T>                                                                       \
  void name(const BlockArgs& k) {                                                          \
    loop<T, 1>(k, [](auto d, auto a, auto b) HWY_ATTR { (void)d; (void)b; return expr; }); \
  }
#define VT(name, expr)                                                 \
  template <class T>                                                   \
  void name(const BlockArgs& k) {                                      \
    test<T>(k, [](auto, auto a, auto b) HWY_ATTR { return expr; });    \
  }
V2(v_add, hn::Add(a, b))
V2(v_sub, hn::Sub(a, b))
V2(v_mul, hn::Mul(a, b))
V2(v_and, hn::And(a, b))
V2(v_or, hn::Or(a, b))
V2(v_xor, hn::Xor(a, b))
V1(v_not, hn::Not(a))
V1(v_neg, hn::Sub(hn::Zero(d), a))
V1(v_copy, a)
VT(v_eq, hn::Eq(a, b))
VT(v_lt, hn::Lt(a, b))
VT(v_le, hn::Not(hn::Lt(b, a)))

template <class T>
T divide(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return T(std::make_unsigned_t<T>(0) - std::make_unsigned_t<T>(a));
  return T(a / b);
}
template <class T>
T remainder(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return 0;
  return T(a % b);
}
template <class T>
void s_div(const BlockArgs& k) {
  lane_pairs<T, T>(k, divide<T>);
}
template <class T>
void s_fmod(const BlockArgs& k) {
  lane_pairs<T, T>(k, remainder<T>);
}
template <class T>
void s_mod(const BlockArgs& k) {
  lane_pairs<T, T>(k, [](T a, T b) {
    const T m = remainder(a, b);
    return m != 0 && (m < 0) != (b < 0) ? T(m + b) : m;
  });
}
template <class T>
void s_pow(const BlockArgs& k) {
  lane_pairs<T, T>(k, [](T base, T exponent) {
    if (exponent < 0) return base == 1 ? T(1) : base == T(-1) ? (exponent % 2 ? T(-1) : T(1)) : T(0);
    uint64_t result = 1, b = uint64_t(base);
    for (uint64_t e = uint64_t(exponent); e; e >>= 1, b *= b)
      if (e & 1) result *= b;
    return T(result);
  });
}
template <class T>
void s_min(const BlockArgs& k) {
  loop<T, 2>(k, [](auto d, auto a, auto b) HWY_ATTR { (void)d; return hn::IfThenElse(hn::Lt(b, a), b, a); });
}
template <class T>
void s_max(const BlockArgs& k) {
  loop<T, 2>(k, [](auto d, auto a, auto b) HWY_ATTR { (void)d; return hn::IfThenElse(hn::Lt(a, b), b, a); });
}
template <class T>
void s_abs(const BlockArgs& k) {
  loop<T, 1>(k, [](auto d, auto a, auto) HWY_ATTR {
    const auto zero = hn::Zero(d);
    return hn::IfThenElse(hn::Lt(a, zero), hn::Sub(zero, a), a);
  });
}
template <class T>
void s_sign(const BlockArgs& k) {
  lane_ones<T, T>(k, [](T a) { return T((a > 0) - (a < 0)); });
}
template <class T>
void s_shift_left(const BlockArgs& k) {
  using U = std::make_unsigned_t<T>;
  lane_pairs<U, U>(k, [](U a, U b) { return b >= sizeof(U) * 8 ? U(0) : U(a << b); });
}
template <class T>
void s_shift_right(const BlockArgs& k) {
  using U = std::make_unsigned_t<T>;
  constexpr U kWidth = sizeof(U) * 8;
  if constexpr (std::is_signed_v<T>) lane_pairs<T, T>(k, [](T a, T b) { return T(a >> (U(b) < kWidth ? U(b) : kWidth - 1)); });
  else lane_pairs<U, U>(k, [](U a, U b) { return b >= kWidth ? U(0) : U(a >> b); });
}
// An integer is never NaN or infinite.
void mask_none(const BlockArgs& k) { std::memset(k.dst, 0, k.n * 4); }

template <class T>
BlockFn find_typed(Prim p) {
  switch (p) {
    case Prim::neg: return v_neg<T>;
    case Prim::abs: return std::is_signed_v<T> ? s_abs<T> : v_copy<T>;
    case Prim::sign: return s_sign<T>;
    case Prim::floor:
    case Prim::ceil:
    case Prim::round:
    case Prim::trunc: return v_copy<T>;
    case Prim::bit_not: return v_not<T>;
    case Prim::add: return v_add<T>;
    case Prim::sub: return v_sub<T>;
    case Prim::mul: return v_mul<T>;
    case Prim::div: return s_div<T>;
    case Prim::mod: return s_mod<T>;
    case Prim::fmod: return s_fmod<T>;
    case Prim::pow: return s_pow<T>;
    case Prim::min: return s_min<T>;
    case Prim::max: return s_max<T>;
    case Prim::bit_and:
    case Prim::logical_and: return v_and<T>;
    case Prim::bit_or:
    case Prim::logical_or: return v_or<T>;
    case Prim::bit_xor:
    case Prim::logical_xor: return v_xor<T>;
    case Prim::shift_left: return s_shift_left<T>;
    case Prim::shift_right: return s_shift_right<T>;
    case Prim::is_nan:
    case Prim::is_inf: return mask_none;
    case Prim::eq: return v_eq<T>;
    case Prim::lt: return v_lt<T>;
    case Prim::le: return v_le<T>;
    default: return nullptr;
  }
}

BlockFn find_int(Reg r, Prim p) {
  switch (r) {
    case Reg::i32: return find_typed<int32_t>(p);
    case Reg::u32: return find_typed<uint32_t>(p);
    case Reg::i64: return find_typed<int64_t>(p);
    case Reg::u64: return find_typed<uint64_t>(p);
    case Reg::mask:
      switch (p) {
        case Prim::logical_not:
        case Prim::bit_not: return v_not<int32_t>;
        // True is -1 here: the order of the two values turns round.
        case Prim::lt: return [](const BlockArgs& k) {
            test<int32_t>(k, [](auto, auto a, auto b) HWY_ATTR { return hn::Lt(b, a); });
          };
        case Prim::le: return [](const BlockArgs& k) {
            test<int32_t>(k, [](auto, auto a, auto b) HWY_ATTR { return hn::Not(hn::Lt(a, b)); });
          };
        case Prim::mul:
        case Prim::min:
        case Prim::bit_and:
        case Prim::logical_and: return v_and<int32_t>;
        case Prim::add:
        case Prim::max:
        case Prim::bit_or:
        case Prim::logical_or: return v_or<int32_t>;
        case Prim::bit_xor:
        case Prim::logical_xor: return v_xor<int32_t>;
        case Prim::eq: return v_eq<int32_t>;
        case Prim::is_nan:
        case Prim::is_inf: return mask_none;
        default: return nullptr;
      }
    default: return nullptr;
  }
}

// ---- f64 -----------------------------------------------------------------------------------------------------------

V2(d_div, hn::Div(a, b))
V2(d_min, hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::Lt(a, b), a, b)))
V2(d_max, hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::Gt(a, b), a, b)))
V1(d_neg, hn::Neg(a))
V1(d_abs, hn::Abs(a))
V1(d_floor, hn::Floor(a))
V1(d_ceil, hn::Ceil(a))
V1(d_round, hn::Round(a))
V1(d_trunc, hn::Trunc(a))
V1(d_sqrt, hn::Sqrt(a))
VT(d_le, hn::Le(a, b))
template <double (*kFn)(double)>
void d_libm(const BlockArgs& k) {
  lane_ones<double, double>(k, kFn);
}

BlockFn find_f64(Prim p) {
  switch (p) {
    case Prim::neg: return d_neg<double>;
    case Prim::abs: return d_abs<double>;
    case Prim::sign: return [](const BlockArgs& k) {
        lane_ones<double, double>(k, [](double a) { return std::isnan(a) ? a : double((a > 0) - (a < 0)); });
      };
    case Prim::floor: return d_floor<double>;
    case Prim::ceil: return d_ceil<double>;
    case Prim::round: return d_round<double>;
    case Prim::trunc: return d_trunc<double>;
    case Prim::sqrt: return d_sqrt<double>;
#define CASE(name) \
  case Prim::name: return d_libm<std::name>;
    CASE(exp) CASE(log) CASE(sin) CASE(cos) CASE(tan) CASE(asin) CASE(acos) CASE(atan) CASE(sinh) CASE(cosh)
    CASE(asinh) CASE(acosh) CASE(atanh) CASE(tanh) CASE(erf) CASE(log1p) CASE(expm1)
#undef CASE
    case Prim::sigmoid: return [](const BlockArgs& k) {
        lane_ones<double, double>(k, [](double a) { return 1 / (1 + std::exp(-a)); });
      };
    case Prim::is_nan: return [](const BlockArgs& k) {
        lane_ones<double, int32_t>(k, [](double a) { return std::isnan(a) ? -1 : 0; });
      };
    case Prim::is_inf: return [](const BlockArgs& k) {
        lane_ones<double, int32_t>(k, [](double a) { return std::isinf(a) ? -1 : 0; });
      };
    case Prim::add: return v_add<double>;
    case Prim::sub: return v_sub<double>;
    case Prim::mul: return v_mul<double>;
    case Prim::div: return d_div<double>;
    case Prim::fmod: return [](const BlockArgs& k) {
        lane_pairs<double, double>(k, [](double a, double b) { return std::fmod(a, b); });
      };
    case Prim::mod: return [](const BlockArgs& k) {
        lane_pairs<double, double>(k, [](double a, double b) {
          const double m = std::fmod(a, b);
          return m != 0 && (m < 0) != (b < 0) ? m + b : m;
        });
      };
    case Prim::pow: return [](const BlockArgs& k) {
        lane_pairs<double, double>(k, [](double a, double b) { return std::pow(a, b); });
      };
    case Prim::min: return d_min<double>;
    case Prim::max: return d_max<double>;
    case Prim::eq: return v_eq<double>;
    case Prim::lt: return v_lt<double>;
    case Prim::le: return d_le<double>;
    default: return nullptr;
  }
}

// ---- select --------------------------------------------------------------------------------------------------------

template <class T>
void select(const BlockArgs& k) {
  const hn::ScalableTag<T> d;
  const hn::Rebind<int32_t, decltype(d)> di;
  const size_t lanes = hn::Lanes(d), n = k.n;
  auto* out = static_cast<T*>(k.dst);
  const auto* m = static_cast<const int32_t*>(k.src[0]);
  const auto *a = static_cast<const T*>(k.src[1]), *b = static_cast<const T*>(k.src[2]);
  auto choose = [&](auto mask, auto yes, auto no) HWY_ATTR {
    if constexpr (sizeof(T) == 8) return hn::IfThenElse(hn::MaskFromVec(hn::PromoteTo(d, mask)), yes, no);
    else return hn::IfThenElse(hn::MaskFromVec(mask), yes, no);
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(choose(hn::LoadU(di, m + i * k.step[0]), hn::LoadU(d, a + i * k.step[1]), hn::LoadU(d, b + i * k.step[2])), d,
               out + i);
  for (; i < n; ++i) out[i] = m[i * k.step[0]] ? a[i * k.step[1]] : b[i * k.step[2]];
}
BlockFn find_select(int bytes) { return bytes == 8 ? select<int64_t> : select<int32_t>; }

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(find_f64);
HWY_EXPORT(find_int);
HWY_EXPORT(find_select);
BlockFn f64_kernel(Prim p) { return HWY_DYNAMIC_DISPATCH(find_f64)(p); }
BlockFn int_kernel(Reg r, Prim p) { return HWY_DYNAMIC_DISPATCH(find_int)(r, p); }
BlockFn select_kernel(int bytes) { return HWY_DYNAMIC_DISPATCH(find_select)(bytes); }
}  // namespace tenon::cpu
#endif
