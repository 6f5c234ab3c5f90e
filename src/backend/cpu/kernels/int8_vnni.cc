// The tile of 8-bit products where the processor has VNNI: four products and their sum in one instruction.
#include "backend/cpu/kernels/int8.h"
#include "backend/cpu/kernels/micro.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TENON_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace tenon::cpu {
namespace {

template <int kRows, int kVectors, bool kPanelSigned>
TENON_VNNI void tile(const Int8Tile& t) {
  __m512i sum[kRows][kVectors];
  TENON_UNROLL
  for (int i = 0; i < kRows; ++i) TENON_UNROLL
  for (int v = 0; v < kVectors; ++v) sum[i][v] = _mm512_setzero_si512();
  const uint8_t* panel = t.panel;
  for (int64_t k = 0; k < t.depth; k += 4, panel += 4 * kInt8Columns) {
    __m512i b[kVectors];
    TENON_UNROLL
    for (int v = 0; v < kVectors; ++v) b[v] = _mm512_loadu_si512(panel + 64 * v);
    TENON_UNROLL
    for (int i = 0; i < kRows; ++i) {
      int32_t four;
      __builtin_memcpy(&four, t.rows + i * t.ld + k, 4);
      const __m512i a = _mm512_set1_epi32(four);
      TENON_UNROLL
      for (int v = 0; v < kVectors; ++v)
        sum[i][v] =
            kPanelSigned ? _mm512_dpbusd_epi32(sum[i][v], a, b[v]) : _mm512_dpbusd_epi32(sum[i][v], b[v], a);
    }
  }
  TENON_UNROLL
  for (int i = 0; i < kRows; ++i) TENON_UNROLL
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_si512(t.out[i] + 16 * v, sum[i][v]);
}

template <int kRows>
void fill(Int8TileFn (*table)[2][2]) {
  table[kRows][0][0] = tile<kRows, 1, false>;
  table[kRows][0][1] = tile<kRows, 1, true>;
  table[kRows][1][0] = tile<kRows, 2, false>;
  table[kRows][1][1] = tile<kRows, 2, true>;
  if constexpr (kRows > 1) fill<kRows - 1>(table);
}

struct Table {
  Int8TileFn fn[kInt8Rows + 1][2][2] = {};  // [rows][more than 16 columns][panel signed]
  Table() { fill<kInt8Rows>(fn); }
};

void run(const Int8Tile& t) {
  static const Table table;
  table.fn[t.count][t.columns > 16][t.panel_signed](t);
}

}  // namespace

Int8TileFn int8_tile_vnni() {
  static const bool have = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl");
  return have ? run : nullptr;
}

}  // namespace tenon::cpu

#else

namespace tenon::cpu {
Int8TileFn int8_tile_vnni() {
  return nullptr;
}
}  // namespace tenon::cpu

#endif
