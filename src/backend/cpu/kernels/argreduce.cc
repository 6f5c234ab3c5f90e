// ArgMax and ArgMin.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/argreduce.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <cmath>
#include <limits>

#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/reduce.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// The first (or last) element of a row for which `hit` holds, as a vector test and as a test of one; -1 when none does.
template <class H, class H1>
HWY_INLINE int64_t find_in_row(const float* x, int64_t n, bool last, H hit, H1 hit1) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  if (last) {
    int64_t j = n;
    for (; j % lanes != 0; --j)
      if (hit1(x[j - 1])) return j - 1;
    for (; j > 0; j -= lanes)
      if (!hn::AllFalse(d, hit(hn::LoadU(d, x + j - lanes))))
        for (int64_t k = j; k-- > j - lanes;)
          if (hit1(x[k])) return k;
    return -1;
  }
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes)
    if (const auto m = hit(hn::LoadU(d, x + j)); !hn::AllFalse(d, m)) return j + int64_t(hn::FindFirstTrue(d, m));
  for (; j < n; ++j)
    if (hit1(x[j])) return j;
  return -1;
}

// Two walks along a row: its best value, then where it stands.
template <bool kMax>
int64_t arg_row(const float* x, int64_t n, bool last) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  auto best = [](VF a, VF b) HWY_ATTR { return kMax ? hn::Max(a, b) : hn::Min(a, b); };
  const float worst = kMax ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
  // The running value stands second, so a NaN in x loses there.
  VF m0 = hn::Set(d, worst), m1 = m0;
  auto nan = hn::MaskFromVec(hn::Zero(d));
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const VF a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + lanes);
    m0 = best(a, m0);
    m1 = best(b, m1);
    nan = hn::Or(nan, hn::Or(hn::IsNaN(a), hn::IsNaN(b)));
  }
  bool any_nan = !hn::AllFalse(d, nan);
  HWY_ALIGN float lane[HWY_LANES(float)];
  hn::Store(best(m0, m1), d, lane);
  float top = worst;
  for (float v : lane) top = kMax ? std::max(top, v) : std::min(top, v);
  for (; i < n; ++i) {
    any_nan |= std::isnan(x[i]);
    if (kMax ? x[i] > top : x[i] < top) top = x[i];
  }
  if (kMax && any_nan)
    return find_in_row(x, n, last, [](VF v) HWY_ATTR { return hn::IsNaN(v); }, [](float v) { return std::isnan(v); });
  const VF want = hn::Set(d, top);
  const int64_t at =
      find_in_row(x, n, last, [&](VF v) HWY_ATTR { return hn::Eq(v, want); }, [&](float v) { return v == top; });
  return at >= 0 ? at : last ? n - 1 : 0;  // nothing but NaN
}

template <class T>
struct Plain {
  using Value = T;
  static T get(const void* x, int64_t i) { return static_cast<const T*>(x)[i]; }
};
struct Half {
  using Value = float;
  static float get(const void* x, int64_t i) { return f16_to_f32(static_cast<const uint16_t*>(x)[i]); }
};
struct Brain {
  using Value = float;
  static float get(const void* x, int64_t i) { return bf16_to_f32(static_cast<const uint16_t*>(x)[i]); }
};

// Strips of columns, each with its best value and place so far.
template <class G, bool kMax>
void arg_columns(ThreadPool& pool, const ArgReduceDesc& k, const void* x, int64_t* y) {
  using V = typename G::Value;
  constexpr int64_t kStrip = 64;
  const int64_t strips = (k.inner + kStrip - 1) / kStrip;
  parallel_ranges(pool, k.outer * strips, k.n * std::min(kStrip, k.inner), [&](int64_t begin, int64_t end, int) HWY_ATTR {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t o = t / strips, s = t % strips * kStrip, width = std::min(kStrip, k.inner - s);
      V best[kStrip];
      int32_t place[kStrip];
      const int64_t base = o * k.n * k.inner + s;
      for (int64_t j = 0; j < width; ++j) best[j] = G::get(x, base + j), place[j] = 0;
      for (int64_t i = 1; i < k.n; ++i)
        for (int64_t j = 0; j < width; ++j) {
          const V v = G::get(x, base + i * k.inner + j);
          // NaN counts as the largest of all.
          const bool nan = v != v, best_nan = best[j] != best[j];
          const bool same = v == best[j] || (nan && best_nan);
          const bool better = same ? k.last : kMax ? v > best[j] || nan : v < best[j] || best_nan;
          best[j] = better ? v : best[j];
          place[j] = better ? int32_t(i) : place[j];
        }
      for (int64_t j = 0; j < width; ++j) y[o * k.inner + s + j] = place[j];
    }
  });
}
// f32 columns in vectors; NaN is handled as an infinity beyond the others by comparing "not less or equal".
template <bool kMax>
void arg_columns_f32(ThreadPool& pool, const ArgReduceDesc& k, const float* x, int64_t* y) {
  const DF d;
  const DI di;
  const int64_t lanes = int64_t(hn::Lanes(d)), strips = (k.inner + lanes - 1) / lanes;
  parallel_ranges(pool, k.outer * strips, k.n * std::min(lanes, k.inner), [&](int64_t begin, int64_t end, int) HWY_ATTR {
    HWY_ALIGN int32_t places[HWY_LANES(float)];
    for (int64_t t = begin; t < end; ++t) {
      const int64_t o = t / strips, i0 = t % strips * lanes;
      const size_t r = size_t(std::min(lanes, k.inner - i0));
      const float* p = x + o * k.n * k.inner + i0;
      auto load = [&](const float* at) HWY_ATTR { return int64_t(r) == lanes ? hn::LoadU(d, at) : load_n(d, at, r); };
      VF best = load(p);
      auto place = hn::Zero(di), now = place;
      for (int64_t i = 1; i < k.n; ++i) {
        const VF v = load(p + i * k.inner);
        now = hn::Add(now, hn::Set(di, 1));
        const auto nan = hn::IsNaN(v), best_nan = hn::IsNaN(best);
        auto better = kMax ? hn::AndNot(best_nan, hn::Or(hn::Gt(v, best), nan)) : hn::Or(hn::Lt(v, best), hn::AndNot(nan, best_nan));
        if (k.last) better = hn::Or(better, hn::Or(hn::Eq(v, best), hn::And(nan, best_nan)));
        best = hn::IfThenElse(better, v, best);
        place = hn::IfThenElse(hn::RebindMask(di, better), now, place);
      }
      hn::Store(place, di, places);
      for (size_t j = 0; j < r; ++j) y[o * k.inner + i0 + int64_t(j)] = places[j];
    }
  });
}

template <class G>
void arg_any(ThreadPool& pool, const ArgReduceDesc& k, const void* x, int64_t* y) {
  if (k.max) arg_columns<G, true>(pool, k, x, y);
  else arg_columns<G, false>(pool, k, x, y);
}

void run_arg(ThreadPool& pool, const ArgReduceDesc& k, const void* x, int64_t* y) {
  if (k.type == DType::f32 && k.inner == 1) {
    parallel_ranges(pool, k.outer, k.n, [&](int64_t begin, int64_t end, int) HWY_ATTR {
      for (int64_t o = begin; o < end; ++o) {
        const float* row = static_cast<const float*>(x) + o * k.n;
        y[o] = k.max ? arg_row<true>(row, k.n, k.last) : arg_row<false>(row, k.n, k.last);
      }
    });
    return;
  }
  switch (k.type) {
    case DType::f32:
      if (k.max) return arg_columns_f32<true>(pool, k, static_cast<const float*>(x), y);
      return arg_columns_f32<false>(pool, k, static_cast<const float*>(x), y);
    case DType::f16: return arg_any<Half>(pool, k, x, y);
    case DType::bf16: return arg_any<Brain>(pool, k, x, y);
    case DType::f64: return arg_any<Plain<double>>(pool, k, x, y);
    case DType::i32: return arg_any<Plain<int32_t>>(pool, k, x, y);
    case DType::i64: return arg_any<Plain<int64_t>>(pool, k, x, y);
    case DType::u8: return arg_any<Plain<uint8_t>>(pool, k, x, y);
    case DType::i8: return arg_any<Plain<int8_t>>(pool, k, x, y);
    default: return;
  }
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(run_arg);
bool arg_reduce_holds(DType t) {
  constexpr DTypeSet held{DType::f32, DType::f16, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8, DType::i8};
  return held.contains(t);
}
void arg_reduce(ThreadPool& pool, const ArgReduceDesc& desc, const void* x, int64_t* y) {
  HWY_DYNAMIC_DISPATCH(run_arg)(pool, desc, x, y);
}
}  // namespace tenon::cpu
#endif
