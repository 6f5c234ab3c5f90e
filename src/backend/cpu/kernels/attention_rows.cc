// The row functions of attention, compiled once for each instruction set.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/attention_rows.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>

#include "backend/cpu/kernels/attention_rows.h"
#include "backend/cpu/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kWide = int64_t(hn::MaxLanes(DF()));

bool scale_row(const float* x, int64_t n, float factor, float* y) {
  const DF d;
  const VF f = hn::Set(d, factor);
  VF check = hn::Zero(d);  // NaN once there was one, or an infinity
  int64_t i = 0;
  for (; i + kWide <= n; i += kWide) {
    const VF v = hn::Mul(hn::LoadU(d, x + i), f);
    check = hn::MulAdd(v, hn::Zero(d), check);
    hn::StoreU(v, d, y + i);
  }
  if (i < n) {
    const VF v = hn::Mul(load_n(d, x + i, size_t(n - i)), f);
    check = hn::MulAdd(v, hn::Zero(d), check);
    store_n(v, d, y + i, size_t(n - i));
  }
  return !hn::AllFalse(d, hn::IsNaN(check));
}

// The whole vectors of scores from `first` to `last`, capped and masked.
template <AttentionMask kKind>
void mask_scores(const SoftmaxStep& s, int64_t first, int64_t last) {
  const DF d;
  const hn::Rebind<uint8_t, DF> d8;
  const VF low = hn::Neg(hn::Inf(d)), cap = hn::Set(d, s.softcap), inverse = hn::Set(d, 1 / s.softcap);
  for (int64_t j = first; j < last; j += kWide) {
    VF x = hn::LoadU(d, s.scores + j);
    const bool whole = j + kWide <= s.n;
    if (s.softcap > 0) x = hn::Mul(cap, tanh_f32(d, hn::Mul(x, inverse)));
    if constexpr (kKind == AttentionMask::added) {
      const float* p = static_cast<const float*>(s.mask) + j;
      const VF m = whole ? hn::LoadU(d, p) : load_n(d, p, size_t(s.n - j));
      x = hn::IfThenElse(hn::Eq(m, low), low, hn::Add(x, m));
    }
    if constexpr (kKind == AttentionMask::boolean) {
      const uint8_t* p = static_cast<const uint8_t*>(s.mask) + j;
      const auto m = hn::PromoteTo(DI(), whole ? hn::LoadU(d8, p) : load_n(d8, p, size_t(s.n - j)));
      x = hn::IfThenElse(hn::RebindMask(d, hn::Ne(m, hn::Zero(DI()))), x, low);
    }
    hn::StoreU(x, d, s.scores + j);
  }
}

void step(const SoftmaxStep& s) {
  const DF d;
  // Vectors that the row sees nothing of.
  const int64_t first = s.begin / kWide * kWide, last = (s.end + kWide - 1) / kWide * kWide;
  const int64_t all = (s.n + kWide - 1) / kWide * kWide;
  const bool any = s.begin < s.end;
  for (int64_t j = 0; j < (any ? first : all); j += kWide) hn::StoreU(hn::Zero(d), d, s.scores + j);
  for (int64_t j = last; j < all; j += kWide) hn::StoreU(hn::Zero(d), d, s.scores + j);
  if (!any) return;

  if (s.kind == AttentionMask::added)
    mask_scores<AttentionMask::added>(s, first, last);
  else if (s.kind == AttentionMask::boolean)
    mask_scores<AttentionMask::boolean>(s, first, last);
  else if (s.softcap > 0)
    mask_scores<AttentionMask::none>(s, first, last);
  const VF low = hn::Neg(hn::Inf(d));
  float* const x = s.scores;
  if (s.begin > first)
    hn::StoreU(hn::IfThenElse(hn::FirstN(d, size_t(s.begin - first)), low, hn::LoadU(d, x + first)), d,
               x + first);
  if (s.end < last) {
    float* const end = x + last - kWide;
    hn::StoreU(hn::IfThenElse(hn::FirstN(d, size_t(s.end - (last - kWide))), hn::LoadU(d, end), low), d, end);
  }

  // A NaN may get lost here; the sum keeps it.
  VF m0 = low, m1 = low;
  int64_t j = first;
  for (; j + 2 * kWide <= last; j += 2 * kWide) {
    m0 = hn::Max(m0, hn::LoadU(d, x + j));
    m1 = hn::Max(m1, hn::LoadU(d, x + j + kWide));
  }
  if (j < last) m0 = hn::Max(m0, hn::LoadU(d, x + j));
  const float old = *s.top, high = std::max(old, hn::GetLane(hn::MaxOfLanes(d, hn::Max(m0, m1))));
  // Nothing but -inf so far: all exponentials are 0.
  const VF base = hn::Set(d, high == -HUGE_VALF ? 0.0f : high);
  VF s0 = hn::Zero(d), s1 = s0;
  for (j = first; j + 2 * kWide <= last; j += 2 * kWide) {
    const VF a = exp_nonpositive(d, hn::Sub(hn::LoadU(d, x + j), base)),
             b = exp_nonpositive(d, hn::Sub(hn::LoadU(d, x + j + kWide), base));
    hn::StoreU(a, d, x + j);
    hn::StoreU(b, d, x + j + kWide);
    s0 = hn::Add(s0, a);
    s1 = hn::Add(s1, b);
  }
  if (j < last) {
    const VF a = exp_nonpositive(d, hn::Sub(hn::LoadU(d, x + j), base));
    hn::StoreU(a, d, x + j);
    s0 = hn::Add(s0, a);
  }
  const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  *s.top = high;
  if (high == old || *s.sum == 0) {
    *s.sum += sum;
    return;
  }
  const VF fade = exp_nonpositive(d, hn::Sub(hn::Set(d, old), base));
  *s.sum = *s.sum * hn::GetLane(fade) + sum;
  for (j = 0; s.result && j < s.width; j += kWide)
    hn::StoreU(hn::Mul(hn::LoadU(d, s.result + j), fade), d, s.result + j);
}

const AttentionRows kRows{scale_row, step};

}  // namespace

const AttentionRows& attention_rows_of_target() {
  return kRows;
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {

const AttentionRows& attention_rows(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::attention_rows_of_target();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::attention_rows_of_target();
#endif
  return HWY_STATIC_DISPATCH(attention_rows_of_target)();
}

}  // namespace tenon::cpu
#endif
