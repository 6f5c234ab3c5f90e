// The micro-kernels: an outer-product tile kept in registers, and the general epilogue. Compiled once per
// ISA.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/micro.cc"
#include "hwy/foreach_target.h"

#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/micro.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu {
namespace HWY_NAMESPACE {
namespace {  // the other kernel files use the same target namespace

// kMr rows by kNv vectors. Sums run over k in order, one fused multiply-add each, whatever the tile or the
// blocking: so results do not depend on them.
template <int kMr, int kNv>
void micro(const MicroArgs& p) {
  const F d;
  V acc[kMr][kNv];
  TENON_UNROLL for (int i = 0; i < kMr; ++i) {
    TENON_UNROLL for (int v = 0; v < kNv; ++v) acc[i][v] =
        hn::LoadU(d, p.start + i * p.ld_start + v * kLanes);
  }
  const float* HWY_RESTRICT b = p.b;
  const int64_t b_stride = p.b_stride;
  const int64_t depth = p.depth;
  const float* const* rows = p.a;
  for (int64_t t = 0; t < p.taps; ++t, rows += kMr) {
    const float* a[kMr];
    TENON_UNROLL for (int i = 0; i < kMr; ++i) a[i] = rows[i] + p.a_offset;
    for (int64_t k = 0; k < depth; ++k) {
      V bv[kNv];
      TENON_UNROLL for (int v = 0; v < kNv; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        const V av = hn::Set(d, a[i][k]);
        TENON_UNROLL for (int v = 0; v < kNv; ++v) acc[i][v] = hn::MulAdd(av, bv[v], acc[i][v]);
      }
      b += b_stride;
    }
  }
  if (p.finish) {
    if (p.alpha != 1.0f) {
      const V alpha = hn::Set(d, p.alpha);
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        TENON_UNROLL for (int v = 0; v < kNv; ++v) acc[i][v] = hn::Mul(acc[i][v], alpha);
      }
    }
    if (p.col_bias) {
      TENON_UNROLL for (int v = 0; v < kNv; ++v) {
        const V bias = hn::LoadU(d, p.col_bias + v * kLanes);
        TENON_UNROLL for (int i = 0; i < kMr; ++i) acc[i][v] = hn::Add(acc[i][v], bias);
      }
    }
    if (p.row_bias) {
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        const V bias = hn::Set(d, p.row_bias[i]);
        TENON_UNROLL for (int v = 0; v < kNv; ++v) acc[i][v] = hn::Add(acc[i][v], bias);
      }
    }
    const V beta = hn::Set(d, p.beta);
    if (p.residual && !p.residual_after) {
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        TENON_UNROLL for (int v = 0; v < kNv; ++v) {
          acc[i][v] = hn::MulAdd(beta, hn::LoadU(d, p.residual + i * p.ld_residual + v * kLanes), acc[i][v]);
        }
      }
    }
    // The sum is the second operand, so that a NaN stays.
    if (p.clamp_lo) {
      const V lo = hn::Set(d, p.lo);
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        TENON_UNROLL for (int v = 0; v < kNv; ++v) acc[i][v] = hn::Max(lo, acc[i][v]);
      }
    }
    if (p.clamp_hi) {
      const V hi = hn::Set(d, p.hi);
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        TENON_UNROLL for (int v = 0; v < kNv; ++v) acc[i][v] = hn::Min(hi, acc[i][v]);
      }
    }
    if (p.residual && p.residual_after) {
      TENON_UNROLL for (int i = 0; i < kMr; ++i) {
        TENON_UNROLL for (int v = 0; v < kNv; ++v) {
          acc[i][v] = hn::MulAdd(beta, hn::LoadU(d, p.residual + i * p.ld_residual + v * kLanes), acc[i][v]);
        }
      }
    }
  }
  TENON_UNROLL for (int i = 0; i < kMr; ++i) {
    TENON_UNROLL for (int v = 0; v < kNv; ++v) hn::StoreU(acc[i][v], d, p.c + i * p.ldc + v * kLanes);
  }
}

HWY_INLINE V load_part(const float* p, int64_t n) {
  const F d;
  return n >= kLanes ? hn::LoadU(d, p) : load_n(d, p, static_cast<size_t>(n));
}

HWY_INLINE void store_part(V v, float* p, int64_t n) {
  const F d;
  if (n >= kLanes) {
    hn::StoreU(v, d, p);
  } else {
    store_n(v, d, p, static_cast<size_t>(n));
  }
}

template <Activation kAct>
void finish_as(const FinishArgs& p) {
  const F d;
  const Epilogue& e = p.e;
  const V alpha = hn::Set(d, e.alpha);
  const V beta = hn::Set(d, e.beta);
  const V a = hn::Set(d, e.a);
  const V b = hn::Set(d, e.b);
  for (int64_t i = 0; i < p.rows; ++i) {
    const float* src = p.src + i * p.ld_src;
    float* dst = p.dst + i * p.ld_dst;
    const float* residual = e.residual ? e.residual + i * e.ld_residual : nullptr;
    for (int64_t j = 0; j < p.cols; j += kLanes) {
      const int64_t n = p.cols - j;
      V x = hn::Mul(load_part(src + j, n), alpha);
      if (e.col_bias) x = hn::Add(x, load_part(e.col_bias + j, n));
      if (e.row_bias) x = hn::Add(x, hn::Set(d, e.row_bias[i]));
      if (residual && !e.residual_after) x = hn::MulAdd(beta, load_part(residual + j, n), x);
      x = activate<kAct>(x, a, b);
      if (residual && e.residual_after) x = hn::MulAdd(beta, load_part(residual + j, n), x);
      store_part(x, dst + j, n);
    }
  }
}

void finish(const FinishArgs& p) {
  switch (p.e.act) {
    case Activation::none:
      return finish_as<Activation::none>(p);
    case Activation::relu:
      return finish_as<Activation::relu>(p);
    case Activation::clip:
      return finish_as<Activation::clip>(p);
    case Activation::sigmoid:
      return finish_as<Activation::sigmoid>(p);
    case Activation::silu:
      return finish_as<Activation::silu>(p);
    case Activation::hard_swish:
      return finish_as<Activation::hard_swish>(p);
    case Activation::hard_sigmoid:
      return finish_as<Activation::hard_sigmoid>(p);
    case Activation::gelu_erf:
      return finish_as<Activation::gelu_erf>(p);
    case Activation::gelu_tanh:
      return finish_as<Activation::gelu_tanh>(p);
    case Activation::tanh:
      return finish_as<Activation::tanh>(p);
    case Activation::leaky_relu:
      return finish_as<Activation::leaky_relu>(p);
  }
}

// Works on 4x4 blocks so that each cache line is touched a few times only.
void transpose(const float* in, int64_t ld_in, int64_t rows, int64_t cols, float* out, int64_t ld_out,
               int64_t width) {
  const hn::FixedTag<float, 4> d4;
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= cols; j += 4) {
      const float* s = in + j * ld_in + i;
      const auto r0 = hn::LoadU(d4, s);
      const auto r1 = hn::LoadU(d4, s + ld_in);
      const auto r2 = hn::LoadU(d4, s + 2 * ld_in);
      const auto r3 = hn::LoadU(d4, s + 3 * ld_in);
      const auto t0 = hn::InterleaveLower(d4, r0, r2);  // r0[0] r2[0] r0[1] r2[1]
      const auto t1 = hn::InterleaveLower(d4, r1, r3);
      const auto t2 = hn::InterleaveUpper(d4, r0, r2);
      const auto t3 = hn::InterleaveUpper(d4, r1, r3);
      float* o = out + i * ld_out + j;
      hn::StoreU(hn::InterleaveLower(d4, t0, t1), d4, o);
      hn::StoreU(hn::InterleaveUpper(d4, t0, t1), d4, o + ld_out);
      hn::StoreU(hn::InterleaveLower(d4, t2, t3), d4, o + 2 * ld_out);
      hn::StoreU(hn::InterleaveUpper(d4, t2, t3), d4, o + 3 * ld_out);
    }
    for (; j < cols; ++j) {
      for (int64_t r = i; r < i + 4; ++r) out[r * ld_out + j] = in[j * ld_in + r];
    }
    for (; j < width; ++j) {
      for (int64_t r = i; r < i + 4; ++r) out[r * ld_out + j] = 0.0f;
    }
  }
  for (; i < rows; ++i) {
    int64_t j = 0;
    for (; j < cols; ++j) out[i * ld_out + j] = in[j * ld_in + i];
    for (; j < width; ++j) out[i * ld_out + j] = 0.0f;
  }
}

// kRows rows of A by kCols rows of B, each product summed lane by lane along k and then across the lanes.
template <int kRows, int kCols>
HWY_INLINE void dot_block(const DotArgs& p, int64_t j) {
  const F d;
  V acc[kRows][kCols];
  TENON_UNROLL for (int i = 0; i < kRows; ++i) {
    TENON_UNROLL for (int c = 0; c < kCols; ++c) acc[i][c] = hn::Zero(d);
  }
  const float* b = p.b + j * p.ldb;
  int64_t k = 0;
  for (; k + kLanes <= p.k; k += kLanes) {
    V bv[kCols];
    TENON_UNROLL for (int c = 0; c < kCols; ++c) bv[c] = hn::LoadU(d, b + c * p.ldb + k);
    TENON_UNROLL for (int i = 0; i < kRows; ++i) {
      const V av = hn::LoadU(d, p.a + i * p.lda + k);
      TENON_UNROLL for (int c = 0; c < kCols; ++c) acc[i][c] = hn::MulAdd(av, bv[c], acc[i][c]);
    }
  }
  if (k < p.k) {
    V bv[kCols];
    TENON_UNROLL for (int c = 0; c < kCols; ++c) bv[c] = load_part(b + c * p.ldb + k, p.k - k);
    TENON_UNROLL for (int i = 0; i < kRows; ++i) {
      const V av = load_part(p.a + i * p.lda + k, p.k - k);
      TENON_UNROLL for (int c = 0; c < kCols; ++c) acc[i][c] = hn::MulAdd(av, bv[c], acc[i][c]);
    }
  }
  TENON_UNROLL for (int i = 0; i < kRows; ++i) {
    TENON_UNROLL for (int c = 0; c < kCols; ++c) {
      p.out[i * kMaxNr + j + c] = hn::GetLane(hn::SumOfLanes(d, acc[i][c]));
    }
  }
}

template <int kRows>
void dot_rows(const DotArgs& p) {
  // Few rows: more columns, for enough independent sums.
  constexpr int kCols = kRows == 1 ? 8 : kRows == 2 ? 4 : 3;
  int64_t j = 0;
  for (; j + kCols <= p.cols; j += kCols) dot_block<kRows, kCols>(p, j);
  for (; j < p.cols; ++j) dot_block<kRows, 1>(p, j);
}

void dot(const DotArgs& p) {
  switch (p.rows) {
    case 1:
      return dot_rows<1>(p);
    case 2:
      return dot_rows<2>(p);
    case 3:
      return dot_rows<3>(p);
    case 4:
      return dot_rows<4>(p);
    default:
      return;
  }
}

template <int kNv, int kMr>
void fill(MicroTable* t) {
  t->fn[kNv][kMr] = &micro<kMr, kNv>;
  if constexpr (kMr > 1) fill<kNv, kMr - 1>(t);
}

MicroTable make_table() {
  MicroTable t = {};
  t.lanes = static_cast<int>(kLanes);
#if HWY_TARGET == HWY_AVX3
  // 32 registers: 24 sums, the B vectors and one broadcast.
  t.nv = 4;
  t.mr[1] = 12, t.mr[2] = 12, t.mr[3] = 8, t.mr[4] = 6;
  fill<1, 12>(&t);
  fill<2, 12>(&t);
  fill<3, 8>(&t);
  fill<4, 6>(&t);
#else
  // 16 registers: 12 sums (8 without fused multiply-add, which needs a temporary).
  constexpr int kMr2 = HWY_TARGET == HWY_SSE4 ? 4 : 6;
  t.nv = 2;
  t.mr[1] = 8, t.mr[2] = kMr2;
  fill<1, 8>(&t);
  fill<2, kMr2>(&t);
#endif
  t.finish = &finish;
  t.dot = &dot;
  t.transpose = &transpose;
  return t;
}

}  // namespace

const MicroTable& micro_table_of_target() {
  static const MicroTable t = make_table();
  return t;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {

const MicroTable& micro_table(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::micro_table_of_target();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::micro_table_of_target();
#endif
  return HWY_STATIC_DISPATCH(micro_table_of_target)();
}

}  // namespace tenon::cpu
#endif
