// The per-ISA micro-kernels behind gemm and convolution, as a table of plain functions. Internal to this
// folder.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/isa.h"

// Register tiles are arrays whose loops must be unrolled before the compiler decides what lives in registers.
#if defined(__clang__)
#define TENON_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define TENON_UNROLL _Pragma("GCC unroll 32")
#else
#define TENON_UNROLL
#endif

namespace tenon::cpu {

constexpr int kMaxMr = 12;  // most rows of a micro-tile
constexpr int kMaxNv = 4;   // most vectors across a micro-tile
constexpr int kMaxNr = 64;  // most columns of a micro-tile, in floats

// One micro-tile: c[i, :] = start[i, :] + sum over taps t, depth d of a[t * mr + i][a_offset + d] * b[t *
// depth + d, :].
struct MicroArgs {
  const float* const* a;  // row pointers [taps][mr]
  int64_t a_offset;
  int64_t taps, depth;
  const float* b;
  int64_t b_stride;
  const float* start;  // partial sums; or the bias or kZeroRow, with ld_start 0
  int64_t ld_start;
  float* c;
  int64_t ldc;
  // The in-register epilogue; used when `finish` is set.
  bool finish;
  bool clamp_lo, clamp_hi;
  bool residual_after;
  float alpha, beta, lo, hi;
  const float* col_bias;
  const float* row_bias;
  const float* residual;
  int64_t ld_residual;
};
using MicroFn = void (*)(const MicroArgs&);

// A finished tile: dst = epilogue(src). `e`'s pointers are already those of the tile's first element.
struct FinishArgs {
  const float* src;
  int64_t ld_src;
  float* dst;
  int64_t ld_dst;
  int64_t rows, cols;
  Epilogue e;
};

alignas(64) inline constexpr float kZeroRow[kMaxNr] = {};

// out[i * kMaxNr + j] = sum over k of a[i * lda + k] * b[j * ldb + k], rows <= kMaxDotRows, cols <= kMaxNr:
// for a B that is stored transposed and meets too few rows to be worth packing.
constexpr int kMaxDotRows = 4;
struct DotArgs {
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  int64_t rows, cols, k;
  float* out;
};

struct MicroTable {
  int lanes;                           // floats in a vector
  int nv;                              // vectors in a full panel
  int mr[kMaxNv + 1];                  // most rows for a panel of that many vectors
  MicroFn fn[kMaxNv + 1][kMaxMr + 1];  // [vectors][rows]
  void (*finish)(const FinishArgs&);
  void (*dot)(const DotArgs&);
  // out[i * ld_out + j] = in[j * ld_in + i] for i < rows, j < cols; columns up to `width` become 0.
  void (*transpose)(const float* in, int64_t ld_in, int64_t rows, int64_t cols, float* out, int64_t ld_out,
                    int64_t width);
  int nr() const { return lanes * nv; }
};

const MicroTable& micro_table(Isa isa);

}  // namespace tenon::cpu
