#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/nbits.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>

#include "backend/cpu/kernels/igemm.h"
#include "backend/cpu/kernels/nbits.h"
#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {

// n fields, low bits first, to a byte each; n a multiple of 16.
static void spread(const uint8_t* from, int64_t n, int64_t bits, uint8_t* to) {
  if (bits == 8) {
    std::memcpy(to, from, size_t(n));
  } else if (bits == 4) {
    const hn::FixedTag<uint8_t, 8> d;
    const hn::FixedTag<uint8_t, 16> d16;
    for (int64_t i = 0; i < n; i += 16) {
      const auto v = hn::LoadU(d, from + i / 2), low = hn::And(v, hn::Set(d, uint8_t(15)));
      const auto high =
          hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(hn::FixedTag<uint16_t, 4>(), v))),
                  hn::Set(d, uint8_t(15)));
      const auto wide_low = hn::ZeroExtendVector(d16, low), wide_high = hn::ZeroExtendVector(d16, high);
      hn::StoreU(hn::InterleaveLower(d16, wide_low, wide_high), d16, to + i);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i / 4] >> (i % 4 * 2) & 3;
  }
}

// out[i] = (q[i] - zero) * scale.
void nbits_widen_of_target(const uint8_t* q, int64_t bits, int64_t block, int64_t k, const float* scales,
                           const float* zeros, float* out) {
  const DF d;
  const hn::Rebind<uint8_t, DI> d8;
  constexpr int64_t kPiece = 256;
  const int64_t lanes = int64_t(hn::Lanes(d));
  HWY_ALIGN uint8_t bytes[kPiece];
  for (int64_t b = 0; b * block < k; ++b) {
    const VF scale = hn::Set(d, scales[b]), zero = hn::Set(d, zeros[b]);
    for (int64_t at = 0; at < block && b * block + at < k; at += kPiece) {
      spread(q + (b * block + at) * bits / 8, std::min(kPiece, block - at), bits, bytes);
      float* to = out + b * block + at;
      const int64_t n = std::min({kPiece, block - at, k - b * block - at});
      for (int64_t i = 0; i < n; i += lanes) {
        const VF v =
            hn::Mul(hn::Sub(hn::ConvertTo(d, hn::PromoteTo(DI(), hn::Load(d8, bytes + i))), zero), scale);
        if (i + lanes <= n)
          hn::StoreU(v, d, to + i);
        else
          store_n(v, d, to + i, size_t(n - i));
      }
    }
  }
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
namespace {

HWY_EXPORT(nbits_widen_of_target);

int64_t field(const uint8_t* bytes, int64_t i, int64_t bits) {
  return bytes[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

// A worker's memory, in bytes.
struct Memory {
  int64_t rows, panel, zeros, igemm, bytes;
  explicit Memory(const NBitsDesc& d) {
    const int64_t nr = micro_table(d.isa).nr();
    rows = 0;
    panel = rows + align64(nr * d.k * 4);
    zeros = panel + (d.m > kMaxDotRows ? align64(nr * d.k * 4) : 0);
    igemm = zeros + align64(d.blocks() * 4);
    bytes = igemm + (d.m > kMaxDotRows ? align64(igemm_scratch_bytes(d.isa, 1, 0, 1)) : 0);
  }
};

void widen_row(const NBitsDesc& d, const NBitsArgs& a, int64_t n, float* zeros, float* out) {
  const int64_t blocks = d.blocks();
  for (int64_t b = 0; b < blocks; ++b)
    zeros[b] = a.packed_zeros ? float(field(a.packed_zeros + n * d.zero_row(), b, d.bits))
               : a.zeros      ? a.zeros[n * blocks + b]
                              : float(1 << (d.bits - 1));
  HWY_DYNAMIC_DISPATCH(nbits_widen_of_target)
  (a.w + n * blocks * (d.block * d.bits / 8), d.bits, d.block, d.k, a.scales + n * blocks, zeros, out);
}

}  // namespace

int64_t nbits_scratch_bytes(const NBitsDesc& d, int threads) {
  return Memory(d).bytes * threads;
}

void nbits_matmul(ThreadPool& pool, const NBitsDesc& d, const NBitsArgs& a, void* scratch) {
  if (d.m == 0 || d.n == 0) return;
  const MicroTable& t = micro_table(d.isa);
  const Memory memory(d);
  const int64_t nr = t.nr();
  parallel_tasks(pool, (d.n + nr - 1) / nr, nr * d.k, [&](int64_t task, int worker) {
    const int64_t n0 = task * nr, columns = std::min(nr, d.n - n0);
    char* mine = static_cast<char*>(scratch) + worker * memory.bytes;
    auto* rows = reinterpret_cast<float*>(mine + memory.rows);
    for (int64_t j = 0; j < columns; ++j)
      widen_row(d, a, n0 + j, reinterpret_cast<float*>(mine + memory.zeros), rows + j * d.k);
    Epilogue e;
    e.col_bias = a.bias ? a.bias + n0 : nullptr;
    e.ld_residual = d.n;
    if (d.m <= kMaxDotRows) {
      alignas(64) float tile[kMaxDotRows * kMaxNr];
      t.dot({a.a, d.k, rows, d.k, d.m, columns, d.k, tile});
      t.finish({tile, kMaxNr, a.y + n0, d.n, d.m, columns, e});
      return;
    }
    auto* panel = reinterpret_cast<float*>(mine + memory.panel);
    igemm_pack_panel(t, d.k, columns, 0, rows, 1, d.k, panel);
    Igemm g;
    g.table = &t;
    g.m = d.m, g.n = columns, g.depth = d.k;
    g.a = a.a, g.lda = d.k, g.b = panel;
    g.c = a.y + n0, g.ldc = d.n;
    g.e = e;
    igemm_serial(g, mine + memory.igemm);
  });
}

}  // namespace tenon::cpu
#endif
