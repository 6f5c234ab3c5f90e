#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/transpose.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/simd-inl.h"
#include "backend/cpu/kernels/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// A square of 16 bytes a side, in registers: interleaving row i with row i + N/2, log2(N) times over, transposes it.
template <class T>
HWY_INLINE void square(const T* x, int64_t xs, T* y, int64_t ys) {
  constexpr int kN = 16 / sizeof(T);
  const hn::FixedTag<T, kN> d;
  hn::VFromD<decltype(d)> a[kN], b[kN];
  for (int i = 0; i < kN; ++i) a[i] = hn::LoadU(d, x + i * xs);
  for (int step = 1; step < kN; step *= 2) {
    for (int i = 0; i < kN / 2; ++i) {
      b[2 * i] = hn::InterleaveLower(d, a[i], a[i + kN / 2]);
      b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + kN / 2]);
    }
    for (int i = 0; i < kN; ++i) a[i] = b[i];
  }
  for (int i = 0; i < kN; ++i) hn::StoreU(a[i], d, y + i * ys);
}

#if HWY_TARGET == HWY_AVX3
// 16 x 16 words. Every line of input is read once and every line of output written once, so strides that are powers of
// two, whose rows fight for the same cache set, do no harm.
HWY_INLINE void square16(const uint32_t* x, int64_t xs, uint32_t* y, int64_t ys) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(x + i * xs);
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  // a[4g + j]: in each 128-bit piece p, column 4p + j of rows 4g … 4g + 3.
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  // Then a 4 x 4 transpose of pieces.
  for (int j = 0; j < 4; ++j) {
    const __m512i t0 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88), t1 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd);
    const __m512i t2 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88), t3 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);
    _mm512_storeu_si512(y + j * ys, _mm512_shuffle_i32x4(t0, t2, 0x88));
    _mm512_storeu_si512(y + (4 + j) * ys, _mm512_shuffle_i32x4(t1, t3, 0x88));
    _mm512_storeu_si512(y + (8 + j) * ys, _mm512_shuffle_i32x4(t0, t2, 0xdd));
    _mm512_storeu_si512(y + (12 + j) * ys, _mm512_shuffle_i32x4(t1, t3, 0xdd));
  }
}
#endif

// A square of 64 bytes a side through buffers, for the same reason.
template <class T>
HWY_INLINE void square64(const T* x, int64_t xs, T* y, int64_t ys) {
  constexpr int kN = 64 / sizeof(T), kSmall = 16 / sizeof(T);
  alignas(64) T in[kN * kN];
  alignas(64) T out[kN * kN];
  for (int i = 0; i < kN; ++i) std::memcpy(in + i * kN, x + i * xs, 64);
  for (int i = 0; i < kN; i += kSmall)
    for (int j = 0; j < kN; j += kSmall) square(in + i * kN + j, kN, out + j * kN + i, kN);
  for (int i = 0; i < kN; ++i) std::memcpy(y + i * ys, out + i * kN, 64);
}

// y[c * ys + r] = x[r * xs + c] for r < h, c < w.
template <class T>
void tile(const T* x, int64_t xs, T* y, int64_t ys, int64_t h, int64_t w) {
  constexpr int64_t kN = 16 / sizeof(T);
  constexpr int64_t kWide = 64 / sizeof(T);
  int64_t r = 0;
  for (; r + kWide <= h; r += kWide) {
    int64_t c = 0;
    for (; c + kWide <= w; c += kWide) {
#if HWY_TARGET == HWY_AVX3
      if constexpr (sizeof(T) == 4) {
        square16(x + r * xs + c, xs, y + c * ys + r, ys);
        continue;
      }
#endif
      square64(x + r * xs + c, xs, y + c * ys + r, ys);
    }
    for (; c + kN <= w; c += kN)
      for (int64_t i = 0; i < kWide; i += kN) square(x + (r + i) * xs + c, xs, y + c * ys + r + i, ys);
    for (; c < w; ++c)
      for (int64_t i = 0; i < kWide; ++i) y[c * ys + r + i] = x[(r + i) * xs + c];
  }
  for (; r + kN <= h; r += kN) {
    int64_t c = 0;
    for (; c + kN <= w; c += kN) square(x + r * xs + c, xs, y + c * ys + r, ys);
    for (; c < w; ++c)
      for (int64_t i = 0; i < kN; ++i) y[c * ys + r + i] = x[(r + i) * xs + c];
  }
  for (; r < h; ++r)
    for (int64_t c = 0; c < w; ++c) y[c * ys + r] = x[r * xs + c];
}

// Two to four dense rows into one interleaved row, and back; w words each. Nothing for 8-byte elements.
template <class T>
bool interleave(const T* x, int64_t xs, T* y, int64_t h, int64_t w) {
  if constexpr (sizeof(T) <= 4) {
    const hn::ScalableTag<T> d;
    const int64_t lanes = int64_t(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= w; i += lanes) {
      if (h == 2) hn::StoreInterleaved2(hn::LoadU(d, x + i), hn::LoadU(d, x + xs + i), d, y + 2 * i);
      else if (h == 3) hn::StoreInterleaved3(hn::LoadU(d, x + i), hn::LoadU(d, x + xs + i), hn::LoadU(d, x + 2 * xs + i), d, y + 3 * i);
      else hn::StoreInterleaved4(hn::LoadU(d, x + i), hn::LoadU(d, x + xs + i), hn::LoadU(d, x + 2 * xs + i), hn::LoadU(d, x + 3 * xs + i), d, y + 4 * i);
    }
    for (; i < w; ++i)
      for (int64_t r = 0; r < h; ++r) y[i * h + r] = x[r * xs + i];
    return true;
  }
  return false;
}
template <class T>
bool deinterleave(const T* x, T* y, int64_t ys, int64_t h, int64_t w) {
  if constexpr (sizeof(T) <= 4) {
    const hn::ScalableTag<T> d;
    const int64_t lanes = int64_t(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= h; i += lanes) {
      hn::VFromD<decltype(d)> a, b, c, e;
      if (w == 2) hn::LoadInterleaved2(d, x + 2 * i, a, b);
      else if (w == 3) hn::LoadInterleaved3(d, x + 3 * i, a, b, c);
      else hn::LoadInterleaved4(d, x + 4 * i, a, b, c, e);
      hn::StoreU(a, d, y + i);
      hn::StoreU(b, d, y + ys + i);
      if (w > 2) hn::StoreU(c, d, y + 2 * ys + i);
      if (w > 3) hn::StoreU(e, d, y + 3 * ys + i);
    }
    for (; i < h; ++i)
      for (int64_t c2 = 0; c2 < w; ++c2) y[c2 * ys + i] = x[i * w + c2];
    return true;
  }
  return false;
}

template <class T>
void block_typed(const T* x, int64_t xs, T* y, int64_t ys, int64_t h, int64_t w) {
  if (h >= 2 && h <= 4 && ys == h && w >= 8 && interleave(x, xs, y, h, w)) return;
  if (w >= 2 && w <= 4 && xs == w && h >= 8 && deinterleave(x, y, ys, h, w)) return;
  tile(x, xs, y, ys, h, w);
}
void block(int bytes, const char* x, int64_t xs, char* y, int64_t ys, int64_t h, int64_t w) {
  switch (bytes) {
    case 1: return block_typed(reinterpret_cast<const uint8_t*>(x), xs, reinterpret_cast<uint8_t*>(y), ys, h, w);
    case 2: return block_typed(reinterpret_cast<const uint16_t*>(x), xs, reinterpret_cast<uint16_t*>(y), ys, h, w);
    case 4: return block_typed(reinterpret_cast<const uint32_t*>(x), xs, reinterpret_cast<uint32_t*>(y), ys, h, w);
    default: return block_typed(reinterpret_cast<const uint64_t*>(x), xs, reinterpret_cast<uint64_t*>(y), ys, h, w);
  }
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(block);

Result<TransposePlan> TransposePlan::make(int element_bytes, const Shape& shape, const std::vector<int64_t>& perm) {
  if (element_bytes != 1 && element_bytes != 2 && element_bytes != 4 && element_bytes != 8)
    return unsupported("transpose kernels do not hold elements of ", element_bytes, " bytes");
  TransposePlan plan;
  plan.bytes_ = element_bytes;
  plan.size_ = num_elements(shape) * element_bytes;
  if (plan.size_ == 0) return plan;
  // In output order: sizes and input strides; dims of 1 dropped, neighbours that stay neighbours joined.
  const Shape strides = row_major_strides(shape);
  Shape dims, in;
  for (int64_t p : perm) {
    const int64_t n = shape[size_t(p)], s = strides[size_t(p)];
    if (n == 1) continue;
    if (!dims.empty() && in.back() == s * n) dims.back() *= n, in.back() = s;
    else dims.push_back(n), in.push_back(s);
  }
  if (dims.size() <= 1) return plan;  // the order in memory does not change
  // A last dim that stays last makes rows; a short one makes a wider element.
  if (in.back() == 1) {
    const int64_t row = dims.back() * element_bytes;
    dims.pop_back(), in.pop_back();
    if (row == 2 || row == 4 || row == 8) {
      const int64_t factor = row / element_bytes;
      for (int64_t& s : in) s /= factor;
      plan.bytes_ = int(row);
    } else {
      plan.way_ = Way::rows;
      plan.row_ = row;
      for (int64_t& s : in) s *= element_bytes;
      plan.outer_ = dims;
      plan.outer_in_ = in;
      return plan;
    }
  }
  plan.way_ = Way::tiles;
  const Shape out = row_major_strides(dims);
  const size_t last = dims.size() - 1;
  size_t unit = 0;
  while (in[unit] != 1) ++unit;
  plan.height_ = dims[last], plan.in_stride_ = in[last];
  plan.width_ = dims[unit], plan.out_stride_ = out[unit];
  for (size_t d = 0; d < last; ++d) {
    if (d == unit) continue;
    plan.outer_.push_back(dims[d]);
    plan.outer_in_.push_back(in[d]);
    plan.outer_out_.push_back(out[d]);
  }
  return plan;
}

void TransposePlan::run(ThreadPool& pool, const void* x, void* y) const {
  const auto* in = static_cast<const char*>(x);
  auto* out = static_cast<char*>(y);
  if (size_ == 0) return;
  if (way_ == Way::copy) {
    parallel_ranges(pool, (size_ + 4095) / 4096, 1024, [&](int64_t begin, int64_t end, int) {
      std::memcpy(out + begin * 4096, in + begin * 4096, size_t(std::min(size_, end * 4096) - begin * 4096));
    });
    return;
  }
  if (way_ == Way::rows) {
    // The innermost of the outer dims is walked by a plain loop.
    const int64_t n = outer_.back(), stride = outer_in_.back();
    int64_t blocks = 1;
    for (size_t d = 0; d + 1 < outer_.size(); ++d) blocks *= outer_[d];
    const int64_t cuts = std::clamp<int64_t>(n * row_ / 65536, 1, n);
    parallel_ranges(pool, blocks * cuts, n * row_ / cuts / 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t b = t / cuts, cut = t % cuts;
        int64_t offset = 0, rest = b;
        for (size_t d = outer_.size() - 1; d-- > 0; rest /= outer_[d]) offset += rest % outer_[d] * outer_in_[d];
        const int64_t from = n * cut / cuts, to = n * (cut + 1) / cuts;
        const char* p = in + offset + from * stride;
        char* q = out + (b * n + from) * row_;
        for (int64_t i = from; i < to; ++i, p += stride, q += row_) std::memcpy(q, p, size_t(row_));
      }
    });
    return;
  }
  // Tiles of up to 64 x 64 elements (256 along the input where the other side is narrow) keep both sides in L1.
  int64_t blocks = 1;
  for (int64_t d : outer_) blocks *= d;
  const int64_t side = bytes_ <= 2 ? 128 : 64;
  const int64_t th = width_ <= 4 ? 4096 : std::min(height_, side), tw = height_ <= 4 ? 4096 : std::min(width_, side);
  const int64_t nh = (height_ + th - 1) / th, nw = (width_ + tw - 1) / tw;
  parallel_ranges(pool, blocks * nh * nw, std::min(th, height_) * std::min(tw, width_), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      int64_t rest = t / (nh * nw), from = 0, to = 0;
      for (size_t d = outer_.size(); d-- > 0; rest /= outer_[d])
        from += rest % outer_[d] * outer_in_[d], to += rest % outer_[d] * outer_out_[d];
      const int64_t r = t / nw % nh * th, c = t % nw * tw;
      HWY_DYNAMIC_DISPATCH(block)
      (bytes_, in + (from + r * in_stride_ + c) * bytes_, in_stride_, out + (to + c * out_stride_ + r) * bytes_, out_stride_,
       std::min(th, height_ - r), std::min(tw, width_ - c));
    }
  });
}
}  // namespace tenon::cpu
#endif
