// Products of 8-bit integers with sums of 32 bits, exact but for the wrap of int32: matrix products and
// convolutions.
//
// One operand of the inner loop is unsigned and one signed, as processors have it. Operands of the other kind
// are flipped by 128, their zero points with them, and zero points are taken off the sums:
//   sum (a - za)(b - zb) = sum a b - zb sum a - za (sum b - k zb)
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cpu/kernels/isa.h"
#include "base/dtype.h"
#include "base/thread_pool.h"
#include "ops/common/window.h"

namespace tenon::cpu {

// What becomes of a sum v: as it is (i32), or ((v + row_add) * row_scale * col_scale) + col_bias, rounded and
// shifted by `zero` where the result is an integer. In double, as the references have it.
struct Int8Output {
  DType type = DType::i32;            // i32, f32, u8, i8
  const int32_t* row_add = nullptr;   // by row
  const double* row_scale = nullptr;  // by row, or one with row_scales 1
  int64_t row_scales = 1;
  const float* col_scale = nullptr;  // by column; null: 1
  const float* col_bias = nullptr;   // by column; null: none
  int32_t zero = 0;
};

// y [m, n] = a [m, k] * b [k, n] for each element of the batch.
struct Int8MatMulDesc {
  Isa isa = Isa::baseline;
  int64_t m = 0, n = 0, k = 0;
  bool a_signed = false, b_signed = true;
};
int64_t int8_packed_bytes(int64_t k, int64_t n);
// b [k, n] row-major; packed is 64-byte aligned.
void int8_pack(int64_t k, int64_t n, bool b_signed, const void* b, void* packed);
// Zero points as the operands' own values; `a_zeros` 1 or m, `b_zeros` 1 or n of them. `scratch` is 64-byte
// aligned.
struct Int8Zeros {
  const int32_t *a = nullptr, *b = nullptr;  // null: zero
  int64_t a_zeros = 1, b_zeros = 1;
};
int64_t int8_matmul_scratch_bytes(const Int8MatMulDesc& desc, int threads);
void int8_matmul(ThreadPool& pool, const Int8MatMulDesc& desc, const void* a, const void* packed,
                 const Int8Zeros& zeros, const Int8Output& output, void* y, void* scratch);

// y [batch, groups * out_channels, out...] of x [batch, groups * in_channels, in...] with w [groups *
// out_channels, in_channels, kernel...], over one to three spatial dimensions. Rows of the output are
// channels.
struct Int8ConvDesc {
  Isa isa = Isa::baseline;
  int64_t batch = 1, groups = 1, in_channels = 1, out_channels = 1;  // channels of one group
  Window windows[3];  // those that are missing come first, as 1
  bool x_signed = false, w_signed = true;

  int64_t taps() const { return windows[0].kernel * windows[1].kernel * windows[2].kernel; }
  int64_t out_plane() const { return windows[0].out * windows[1].out * windows[2].out; }
  int64_t in_plane() const { return windows[0].in * windows[1].in * windows[2].in; }
};
int64_t int8_conv_packed_bytes(const Int8ConvDesc& desc);
void int8_conv_pack(const Int8ConvDesc& desc, const void* w, void* packed);
int64_t int8_conv_scratch_bytes(const Int8ConvDesc& desc, int threads);
// `x_zero` is one value; `w_zeros` 1 or as many as output channels, null: zero.
void int8_conv(ThreadPool& pool, const Int8ConvDesc& desc, const void* x, const void* packed, int32_t x_zero,
               const int32_t* w_zero, int64_t w_zeros, const Int8Output& output, void* y, void* scratch);

// ---- internal to this folder
// ------------------------------------------------------------------------------------

constexpr int kInt8Columns = 32, kInt8Rows = 12;

// out[i][j] = sum over k < depth of rows[i * ld + k] * panel[k / 4][j][k % 4], j < columns; depth a multiple
// of 4. The rows are unsigned and the panel signed, or the other way round.
struct Int8Tile {
  const uint8_t* rows;
  int64_t ld;
  const uint8_t* panel;
  int64_t depth;
  int count;    // rows, up to kInt8Rows
  int columns;  // up to kInt8Columns
  bool panel_signed;
  int32_t (*out)[kInt8Columns];
};
using Int8TileFn = void (*)(const Int8Tile&);
Int8TileFn int8_tile(Isa isa);
// Null where this processor has no dot products of bytes.
Int8TileFn int8_tile_vnni();

// One row of finished sums: v = sum - r1 * c1 - r2 * c2.
struct Int8Row {
  const int32_t* sums;
  int64_t n;
  int32_t r1, r2;
  const int32_t *c1, *c2;
  int32_t add;
  double scale;
  const float *col_scale, *col_bias;
  int32_t zero;
};
void int8_finish_row(const Int8Row& row, DType type, void* y);
// panel[i][j][r] = rows[r][j] for 4 rows of kInt8Columns bytes.
void int8_interleave(const uint8_t rows[4][kInt8Columns], uint8_t* panel);

}  // namespace tenon::cpu
