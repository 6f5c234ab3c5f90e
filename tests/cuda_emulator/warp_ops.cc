// What the lanes of a warp do together, and asynchronous copies. Called by the last lane to come (abi.h); layouts are
// those of the PTX ISA, chapter "Warp Level Matrix Multiply-Accumulate Instructions".
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/dtype.h"
#include "cuda_emulator/block.h"

using tenon::cat;
using tenon::emulator::this_block;
using tenon::emulator::Thread;

namespace {

[[gnu::always_inline]] inline void fail(const std::string& what) { this_block().fail(what); }

// Instructions marked .aligned need all 32 lanes.
void need_all(unsigned mask, const char* what) {
  if (mask != ~0u) fail(cat(what, " with only some lanes of the warp"));
}

// A multiply-accumulate of D[16,8] = A[16,K] * B[K,8] + C, with g = lane / 4 and t = lane % 4:
//   C, D   register i, i < 4: row g + 8 * (i / 2), column 2 * t + i % 2
//   A      register r, r < 4, holds n elements of the row g + 8 * (r % 2), from the column n * t + (r / 2) * 4 * n on
//   B      register r, r < 2, holds n elements of the column g, from the row n * t + r * 4 * n on
// where a register of 32 bits holds n elements (tf32: 1, f16: 2, s8: 4), so K = 8 * n.
// The sum is kept in `Sum` and rounded once; a tensor core keeps about as many bits as a float and rounds more often.
template <int n, class Sum, class Result, class A, class B>
void mma(void** lanes, unsigned mask, A element_of_a, B element_of_b) {
  need_all(mask, "mma.sync");
  constexpr int K = 8 * n;
  Sum a[16][K], b[8][K];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& x = *static_cast<const EmuMma*>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < n; ++i) {
      for (int r = 0; r < 4; ++r) a[g + 8 * (r % 2)][n * t + r / 2 * 4 * n + i] = Sum(element_of_a(x.a[r], i));
      for (int r = 0; r < 2; ++r) b[g][n * t + r * 4 * n + i] = Sum(element_of_b(x.b[r], i));
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& x = *static_cast<const EmuMma*>(lanes[lane]);
    Result d[4];
    std::memcpy(d, x.d, sizeof d);
    for (int i = 0; i < 4; ++i) {
      const Sum *row = a[lane / 4 + 8 * (i / 2)], *column = b[2 * (lane % 4) + i % 2];
      Sum sum[8] = {};
      for (int k = 0; k < K; k += 8)
        for (int j = 0; j < 8; ++j) sum[j] += row[k + j] * column[k + j];
      Sum all = Sum(d[i]);
      for (int j = 0; j < 8; ++j) all += sum[j];
      d[i] = Result(all);
    }
    std::memcpy(x.d, d, sizeof d);
  }
}

}  // namespace

extern "C" {

void emu_shuffle(void** lanes, unsigned mask) {
  for (unsigned bits = mask; bits; bits &= bits - 1) {
    auto& to = *static_cast<EmuShuffle*>(lanes[std::countr_zero(bits)]);
    const void* from = to.source >= 0 && to.source < 32 ? lanes[to.source] : nullptr;
    to.result = from ? static_cast<const EmuShuffle*>(from)->value : ~0ull;  // undefined from a lane that takes no part
  }
}

// Matrix m, 8x8 elements of 16 bits: lane 8*m + r brings the address of row r, 16 bytes. Lane l gets elements 2*(l%4) and
// 2*(l%4)+1 of row l/4; transposed, those of column l/4.
void emu_load_matrix(void** lanes, unsigned mask) {
  need_all(mask, "ldmatrix");
  const auto lane_of = [&](int l) -> EmuLoadMatrix& { return *static_cast<EmuLoadMatrix*>(lanes[l]); };
  for (int m = 0; m < lane_of(0).matrices; ++m) {
    uint16_t rows[8][8];
    for (int r = 0; r < 8; ++r) {
      const void* row = lane_of(8 * m + r).row;
      if (reinterpret_cast<uintptr_t>(row) % 16) fail(cat("ldmatrix: the address of lane ", 8 * m + r, " is not a multiple of 16"));
      std::memcpy(rows[r], row, 16);
    }
    for (int l = 0; l < 32; ++l) {
      const int r = l / 4, c = l % 4 * 2;
      const bool t = lane_of(l).transposed;
      lane_of(l).result[m] = unsigned(t ? rows[c][r] : rows[r][c]) | unsigned(t ? rows[c + 1][r] : rows[r][c + 1]) << 16;
    }
  }
}

void emu_ballot(void** lanes, unsigned mask) {
  unsigned votes = 0;
  for (unsigned bits = mask; bits; bits &= bits - 1)
    if (static_cast<const EmuVote*>(lanes[std::countr_zero(bits)])->vote) votes |= bits & -bits;
  for (unsigned bits = mask; bits; bits &= bits - 1) static_cast<EmuVote*>(lanes[std::countr_zero(bits)])->result = votes;
}

unsigned short emu_to_f16(float v) { return tenon::f32_to_f16(v); }
float emu_from_f16(unsigned short bits) { return tenon::f16_to_f32(bits); }
unsigned short emu_to_bf16(float v) { return tenon::f32_to_bf16(v); }
unsigned char emu_to_e4m3(float v) { return uint8_t(tenon::encode_float(tenon::DType::f8e4m3fn, v)); }
unsigned char emu_to_e5m2(float v) { return uint8_t(tenon::encode_float(tenon::DType::f8e5m2, v)); }
float emu_from_e4m3(unsigned char bits) { return float(tenon::decode_float(tenon::DType::f8e4m3fn, bits)); }

// Elements of a register. Products of these types are exact in a double.
static double f16(unsigned reg, int i) { return tenon::f16_to_f32(uint16_t(reg >> 16 * i)); }
static double bf16(unsigned reg, int i) { return tenon::bf16_to_f32(uint16_t(reg >> 16 * i)); }
static double tf32(unsigned reg, int) { return std::bit_cast<float>(reg & ~0x1fffu); }  // the low 13 bits are not looked at
static double e5m2(unsigned reg, int i) { return tenon::f16_to_f32(uint16_t(uint8_t(reg >> 8 * i) << 8)); }
static double e4m3(unsigned reg, int i) { return tenon::decode_float(tenon::DType::f8e4m3fn, uint8_t(reg >> 8 * i)); }
static int s8(unsigned reg, int i) { return int8_t(reg >> 8 * i); }
static int u8(unsigned reg, int i) { return uint8_t(reg >> 8 * i); }

void emu_mma_f16(void** lanes, unsigned mask) { mma<2, double, float>(lanes, mask, f16, f16); }
void emu_mma_bf16(void** lanes, unsigned mask) { mma<2, double, float>(lanes, mask, bf16, bf16); }
void emu_mma_tf32(void** lanes, unsigned mask) { mma<1, double, float>(lanes, mask, tf32, tf32); }
void emu_mma_e4m3(void** lanes, unsigned mask) { mma<4, double, float>(lanes, mask, e4m3, e4m3); }
void emu_mma_e5m2(void** lanes, unsigned mask) { mma<4, double, float>(lanes, mask, e5m2, e5m2); }
void emu_mma_s8(void** lanes, unsigned mask) { mma<4, int64_t, int>(lanes, mask, s8, s8); }
void emu_mma_u8(void** lanes, unsigned mask) { mma<4, int64_t, int>(lanes, mask, u8, u8); }
void emu_mma_s8_u8(void** lanes, unsigned mask) { mma<4, int64_t, int>(lanes, mask, s8, u8); }
void emu_mma_u8_s8(void** lanes, unsigned mask) { mma<4, int64_t, int>(lanes, mask, u8, s8); }

// ---- asynchronous copies -------------------------------------------------------------------------------------------

static void do_copy(const tenon::emulator::AsyncCopy& c) {
  if (c.from_bytes) std::memcpy(c.to, c.from, size_t(c.from_bytes));
  std::memset(static_cast<char*>(c.to) + c.from_bytes, 0, size_t(c.bytes - c.from_bytes));
}

// Done as soon or as late as a GPU may do it: the former shows a buffer that is written while others read it, the latter a
// wait that is missing.
void emu_copy_async(void* to, const void* from, int bytes, int from_bytes, const char* file, int line) {
  const auto off = [&](const void* p) { return reinterpret_cast<uintptr_t>(p) % unsigned(bytes) != 0; };
  if ((bytes != 4 && bytes != 8 && bytes != 16) || from_bytes < 0 || from_bytes > bytes || off(to) || (from_bytes && off(from)))
    fail(cat("cp.async of ", from_bytes, " of ", bytes, " bytes: sizes are 4, 8 and 16, both addresses multiples of them; at ", file, ":", line));
  if (this_block().copies_late()) this_block().current().copies.push_back({to, from, bytes, from_bytes});
  else do_copy({to, from, bytes, from_bytes});
}

void emu_copy_commit() {
  Thread& t = this_block().current();
  size_t grouped = 0;
  for (size_t g : t.groups) grouped += g;
  t.groups.push_back(t.copies.size() - grouped);
}

void emu_copy_wait(int groups) {
  Thread& t = this_block().current();
  size_t done = 0, complete = t.groups.size() > size_t(std::max(groups, 0)) ? t.groups.size() - size_t(std::max(groups, 0)) : 0;
  for (size_t g = 0; g < complete; ++g) done += t.groups[g];
  if (groups < 0) done = t.copies.size();
  for (size_t i = 0; i < done; ++i) do_copy(t.copies[i]);
  t.copies.erase(t.copies.begin(), t.copies.begin() + ptrdiff_t(done));
  t.groups.erase(t.groups.begin(), t.groups.begin() + ptrdiff_t(complete));
}
}
