// The tile of 8-bit products on any processor, through 16-bit products; and what becomes of the sums.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/int8_tile.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels/int8.h"
#include "backend/cpu/kernels/micro.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

using D16 = hn::ScalableTag<int16_t>;
using DU16 = hn::ScalableTag<uint16_t>;
using V16 = hn::VFromD<D16>;
using VI = hn::VFromD<DI>;

// The bytes at even and odd places, widened.
template <bool kSigned>
HWY_INLINE void split(VI bytes, V16& even, V16& odd) {
  const D16 d;
  const DU16 du;
  if constexpr (kSigned) {
    even = hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(d, bytes)));
    odd = hn::ShiftRight<8>(hn::BitCast(d, bytes));
  } else {
    even = hn::And(hn::BitCast(d, bytes), hn::Set(d, int16_t(0xff)));
    odd = hn::BitCast(d, hn::ShiftRight<8>(hn::BitCast(du, bytes)));
  }
}

// sum + the products of the pairs in each lane of 32 bits.
HWY_INLINE VI add_pairs(VI sum, V16 a, V16 b) {
  const DI d;
#if HWY_ARCH_X86
  VI unused = hn::Zero(d);  // all goes to the first sum on x86
  return hn::ReorderWidenMulAccumulate(d, a, b, sum, unused);
#else
  const VI a32 = hn::BitCast(d, a), b32 = hn::BitCast(d, b);
  const VI low =
      hn::Mul(hn::ShiftRight<16>(hn::ShiftLeft<16>(a32)), hn::ShiftRight<16>(hn::ShiftLeft<16>(b32)));
  return hn::Add(sum, hn::Add(low, hn::Mul(hn::ShiftRight<16>(a32), hn::ShiftRight<16>(b32))));
#endif
}

constexpr int kVectors = 2;  // across a step of the tile
constexpr int64_t kLanes = int64_t(hn::MaxLanes(DI()));
constexpr int kMostRows = HWY_TARGET == HWY_AVX3 ? 8 : 3;

template <int kRows, bool kPanelSigned>
HWY_INLINE void strip(const Int8Tile& t, int row, int64_t column) {
  const DI d;
  VI sum[kRows][kVectors];
  TENON_UNROLL
  for (int i = 0; i < kRows; ++i) TENON_UNROLL
  for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::Zero(d);
  const uint8_t* panel = t.panel + 4 * column;
  const uint8_t* rows = t.rows + row * t.ld;
  for (int64_t k = 0; k < t.depth; k += 4, panel += 4 * kInt8Columns) {
    V16 even[kVectors], odd[kVectors];
    TENON_UNROLL
    for (int v = 0; v < kVectors; ++v)
      split<kPanelSigned>(hn::LoadU(d, reinterpret_cast<const int32_t*>(panel) + v * kLanes), even[v],
                          odd[v]);
    TENON_UNROLL
    for (int i = 0; i < kRows; ++i) {
      int32_t four;
      std::memcpy(&four, rows + i * t.ld + k, 4);
      V16 a_even, a_odd;
      split<!kPanelSigned>(hn::Set(d, four), a_even, a_odd);
      TENON_UNROLL
      for (int v = 0; v < kVectors; ++v)
        sum[i][v] = add_pairs(add_pairs(sum[i][v], a_even, even[v]), a_odd, odd[v]);
    }
  }
  TENON_UNROLL
  for (int i = 0; i < kRows; ++i) TENON_UNROLL
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[i][v], d, t.out[row + i] + column + v * kLanes);
}

template <bool kPanelSigned>
void tile(const Int8Tile& t) {
  for (int64_t column = 0; column < t.columns; column += kVectors * kLanes) {
    int row = 0;
    for (; row + kMostRows <= t.count; row += kMostRows) strip<kMostRows, kPanelSigned>(t, row, column);
    for (; row < t.count; ++row) strip<1, kPanelSigned>(t, row, column);
  }
}

}  // namespace

void int8_tile_of_target(const Int8Tile& t) {
  if (t.panel_signed)
    tile<true>(t);
  else
    tile<false>(t);
}

void int8_interleave_of_target(const uint8_t rows[4][kInt8Columns], uint8_t* panel) {
  const hn::FixedTag<uint8_t, 16> d;
  for (int j = 0; j < kInt8Columns; j += 16)
    hn::StoreInterleaved4(hn::LoadU(d, rows[0] + j), hn::LoadU(d, rows[1] + j), hn::LoadU(d, rows[2] + j),
                          hn::LoadU(d, rows[3] + j), d, panel + 4 * j);
}

// In double as the reference: what a float rounds away decides ties.
void int8_finish_row_of_target(const Int8Row& r, DType type, void* y) {
  const DI d;
  const VI r1 = hn::Set(d, r.r1), r2 = hn::Set(d, r.r2);
  HWY_ALIGN int32_t sums[kInt8Columns];
  auto* whole = type == DType::i32 ? static_cast<int32_t*>(y) : sums;
  const bool plain = r.r1 == 0 && r.r2 == 0;
  int64_t i = 0;
  if (plain) {
    std::memcpy(whole, r.sums, size_t(r.n) * 4);
  } else {
    for (; i + kLanes <= r.n; i += kLanes) {
      const VI v = hn::Sub(hn::LoadU(d, r.sums + i), hn::Mul(r1, hn::LoadU(d, r.c1 + i)));
      hn::StoreU(hn::Sub(v, hn::Mul(r2, hn::LoadU(d, r.c2 + i))), d, whole + i);
    }
    for (; i < r.n; ++i)
      whole[i] = int32_t(uint32_t(r.sums[i]) - uint32_t(r.r1) * uint32_t(r.c1[i]) -
                         uint32_t(r.r2) * uint32_t(r.c2[i]));
  }
  if (type == DType::i32) return;
  const hn::ScalableTag<double> dd;
  const hn::Rebind<int32_t, decltype(dd)> dh;
  const hn::Rebind<float, decltype(dd)> df;
  const int64_t half = int64_t(hn::Lanes(dd));
  const auto add = hn::Set(dd, double(r.add)), scale = hn::Set(dd, r.scale),
             zero = hn::Set(dd, double(r.zero));
  const auto low = hn::Set(dd, type == DType::u8 ? 0.0 : -128.0),
             high = hn::Set(dd, type == DType::u8 ? 255.0 : 127.0);
  HWY_ALIGN int32_t rounded[kInt8Columns];
  // The sums' tail holds whatever; it is computed and not stored.
  for (i = 0; i < r.n; i += half) {
    const auto left = size_t(std::min(half, r.n - i));
    auto v = hn::Mul(hn::Add(hn::PromoteTo(dd, hn::LoadU(dh, whole + i)), add), scale);
    const auto by_column = [&](const float* p) HWY_ATTR {
      HWY_ALIGN float lanes[HWY_LANES(double)] = {};
      std::memcpy(lanes, p + i, left * 4);
      return hn::PromoteTo(dd, hn::LoadU(df, lanes));
    };
    if (r.col_scale) v = hn::Mul(v, by_column(r.col_scale));
    if (r.col_bias) v = hn::Add(v, by_column(r.col_bias));
    if (type == DType::f32) {
      HWY_ALIGN float lanes[HWY_LANES(double)];
      hn::StoreU(hn::DemoteTo(df, v), df, lanes);
      std::memcpy(static_cast<float*>(y) + i, lanes, left * 4);
    } else {
      v = hn::Add(hn::Round(v), zero);
      v = hn::IfThenElse(hn::Gt(v, low), hn::Min(v, high), low);  // NaN gives the lowest value
      hn::StoreU(hn::DemoteTo(dh, v), dh, rounded + i);
    }
  }
  if (type == DType::f32) return;
  for (i = 0; i < r.n; ++i) static_cast<uint8_t*>(y)[i] = uint8_t(rounded[i]);
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {

HWY_EXPORT(int8_tile_of_target);
HWY_EXPORT(int8_interleave_of_target);
HWY_EXPORT(int8_finish_row_of_target);

Int8TileFn int8_tile(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return int8_tile_vnni() ? int8_tile_vnni() : N_AVX3::int8_tile_of_target;
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::int8_tile_of_target;
#endif
  return HWY_STATIC_DISPATCH(int8_tile_of_target);
}
void int8_interleave(const uint8_t rows[4][kInt8Columns], uint8_t* panel) {
  HWY_DYNAMIC_DISPATCH(int8_interleave_of_target)(rows, panel);
}
void int8_finish_row(const Int8Row& row, DType type, void* y) {
  HWY_DYNAMIC_DISPATCH(int8_finish_row_of_target)(row, type, y);
}

}  // namespace tenon::cpu
#endif
