// Depthwise kernels: a few neighbouring outputs at a time, so that a loaded input serves several of them.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/depthwise_micro.cc"
#include "hwy/foreach_target.h"

#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/depthwise_micro.h"
#include "backend/cpu/kernels/micro.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu {
namespace HWY_NAMESPACE {
namespace {  // the other kernel files use the same target namespace

template <bool kTail>
HWY_INLINE V load(const float* p, int64_t n) {
  const F d;
  if constexpr (kTail) return load_n(d, p, static_cast<size_t>(n));
  return hn::LoadU(d, p);
}

// Epilogue and store of kOut sums at channel c; kTail: only n channels are left.
template <int kOut, bool kTail>
HWY_INLINE void finish_store(const DepthwiseArgs& p, V (&acc)[kOut], int64_t c, int64_t n) {
  const F d;
  if (p.finish) {
    if (p.alpha != 1.0f) {
      TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Mul(acc[i], hn::Set(d, p.alpha));
    }
    if (p.bias) {
      const V bias = load<kTail>(p.bias + c, n);
      TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Add(acc[i], bias);
    }
    const V beta = hn::Set(d, p.beta);
    if (p.residual && !p.residual_after) {
      TENON_UNROLL for (int i = 0; i < kOut; ++i) {
        acc[i] = hn::MulAdd(beta, load<kTail>(p.residual + i * p.ld_residual + c, n), acc[i]);
      }
    }
    if (p.clamp_lo) {
      const V lo = hn::Set(d, p.lo);
      TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Max(lo, acc[i]);
    }
    if (p.clamp_hi) {
      const V hi = hn::Set(d, p.hi);
      TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Min(hi, acc[i]);
    }
    if (p.residual && p.residual_after) {
      TENON_UNROLL for (int i = 0; i < kOut; ++i) {
        acc[i] = hn::MulAdd(beta, load<kTail>(p.residual + i * p.ld_residual + c, n), acc[i]);
      }
    }
  }
  TENON_UNROLL for (int i = 0; i < kOut; ++i) {
    float* y = p.y + i * p.ldy + c;
    if constexpr (kTail) {
      store_n(acc[i], d, y, static_cast<size_t>(n));
    } else {
      hn::StoreU(acc[i], d, y);
    }
  }
}

template <int kWidth, int kStride, int kOut, bool kTail>
HWY_INLINE void fixed_step(const DepthwiseArgs& p, int64_t c, int64_t n) {
  const F d;
  constexpr int kColumns = (kOut - 1) * kStride + kWidth;
  V acc[kOut];
  TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Zero(d);
  const float* const* x = p.x;
  const float* w = p.w + c;
  for (int64_t r = 0; r < p.kernel_h; ++r, x += kColumns) {
    V wv[kWidth];
    TENON_UNROLL for (int j = 0; j < kWidth; ++j, w += p.ldw) wv[j] = hn::LoadU(d, w);
    TENON_UNROLL for (int j = 0; j < kColumns; ++j) {
      const V xv = load<kTail>(x[j] + c, n);
      TENON_UNROLL for (int i = 0; i < kOut; ++i) {
        const int k = j - i * kStride;
        if (k >= 0 && k < kWidth) acc[i] = hn::MulAdd(xv, wv[k], acc[i]);
      }
    }
  }
  finish_store<kOut, kTail>(p, acc, c, n);
}

template <int kWidth, int kStride, int kOut>
void fixed(const DepthwiseArgs& p) {
  int64_t c = 0;
  for (; c + kLanes <= p.channels; c += kLanes) fixed_step<kWidth, kStride, kOut, false>(p, c, kLanes);
  if (c < p.channels) fixed_step<kWidth, kStride, kOut, true>(p, c, p.channels - c);
}

template <int kOut, bool kTail>
HWY_INLINE void any_step(const DepthwiseArgs& p, int64_t c, int64_t n) {
  const F d;
  V acc[kOut];
  TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Zero(d);
  const float* const* x = p.x;
  const float* w = p.w + c;
  for (int64_t t = 0; t < p.taps; ++t, x += kOut, w += p.ldw) {
    const V wv = hn::LoadU(d, w);
    TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::MulAdd(load<kTail>(x[i] + c, n), wv, acc[i]);
  }
  finish_store<kOut, kTail>(p, acc, c, n);
}

template <int kOut>
void any(const DepthwiseArgs& p) {
  int64_t c = 0;
  for (; c + kLanes <= p.channels; c += kLanes) any_step<kOut, false>(p, c, kLanes);
  if (c < p.channels) any_step<kOut, true>(p, c, p.channels - c);
}

// Every lane of a group needs each input of its group in turn: lane l gets x[l / group * group + j] for j <
// group.
template <int kOut, bool kTail>
HWY_INLINE void grouped_step(const DepthwiseArgs& p, const int32_t* lanes, int64_t c, int64_t n) {
  const F d;
  V acc[kOut];
  TENON_UNROLL for (int i = 0; i < kOut; ++i) acc[i] = hn::Zero(d);
  const float* const* x = p.x;
  const float* w = p.w + c;
  for (int64_t t = 0; t < p.taps; ++t, x += kOut) {
    V xv[kOut];
    TENON_UNROLL for (int i = 0; i < kOut; ++i) xv[i] = load<kTail>(x[i] + c, n);
    for (int64_t j = 0; j < p.group; ++j, w += p.ldw) {
      const V wv = hn::LoadU(d, w);
      const auto index = hn::SetTableIndices(d, lanes + j * kLanes);
      TENON_UNROLL for (int i = 0; i < kOut; ++i) {
        acc[i] = hn::MulAdd(hn::TableLookupLanes(xv[i], index), wv, acc[i]);
      }
    }
  }
  finish_store<kOut, kTail>(p, acc, c, n);
}

template <int kOut>
void grouped(const DepthwiseArgs& p) {
  HWY_ALIGN int32_t lanes[8 * kLanes];
  for (int64_t j = 0; j < p.group; ++j) {
    for (int64_t l = 0; l < kLanes; ++l)
      lanes[j * kLanes + l] = static_cast<int32_t>(l / p.group * p.group + j);
  }
  int64_t c = 0;
  for (; c + kLanes <= p.channels; c += kLanes) grouped_step<kOut, false>(p, lanes, c, kLanes);
  if (c < p.channels) grouped_step<kOut, true>(p, lanes, c, p.channels - c);
}

template <int kOut>
void fill(DepthwiseTable* t) {
  t->k3s1[kOut] = &fixed<3, 1, kOut>;
  t->k3s2[kOut] = &fixed<3, 2, kOut>;
  t->k5s1[kOut] = &fixed<5, 1, kOut>;
  t->k5s2[kOut] = &fixed<5, 2, kOut>;
  t->any[kOut] = &any<kOut>;
  t->grouped[kOut] = &grouped<kOut>;
  if constexpr (kOut > 1) fill<kOut - 1>(t);
}

DepthwiseTable make_depthwise_table() {
  DepthwiseTable t = {};
  t.lanes = static_cast<int>(kLanes);
  fill<kMaxDepthwiseOutputs>(&t);
  return t;
}

}  // namespace

const DepthwiseTable& depthwise_table_of_target() {
  static const DepthwiseTable t = make_depthwise_table();
  return t;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {

const DepthwiseTable& depthwise_table(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::depthwise_table_of_target();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::depthwise_table_of_target();
#endif
  return HWY_STATIC_DISPATCH(depthwise_table_of_target)();
}

}  // namespace tenon::cpu
#endif
