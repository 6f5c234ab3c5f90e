// Packing, blocking and zero points of 8-bit products. A task takes a block of rows against some panels
// (matrix products), or all output channels against one panel of pixels that it gathers itself
// (convolutions).
#include "backend/cpu/kernels/int8.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {
namespace {

constexpr int64_t kPanel = kInt8Columns;
constexpr int64_t kBlockRows = 4 * kInt8Rows;

int64_t padded(int64_t k) {
  return (k + 3) / 4 * 4;
}
int64_t panels_of(int64_t n) {
  return (n + kPanel - 1) / kPanel;
}
int64_t aligned(int64_t bytes) {
  return int64_t(round_up(size_t(bytes), 64));
}

int32_t sum_of_unsigned(const uint8_t* p, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += p[i];
  return sum;
}
int32_t sum_of_signed(const uint8_t* p, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += int8_t(p[i]);
  return sum;
}

// n bytes, each flipped by 128 where asked for, up to `depth` with zeros behind.
void copy_row(const uint8_t* from, int64_t n, int64_t depth, bool flip, uint8_t* to) {
  if (flip)
    for (int64_t i = 0; i < n; ++i) to[i] = from[i] ^ 0x80;
  else
    std::memcpy(to, from, size_t(n));
  std::memset(to + n, 0, size_t(depth - n));
}

int32_t wrapped(int64_t v) {
  return int32_t(uint32_t(uint64_t(v)));
}

int64_t element_bytes(DType t) {
  return t == DType::i32 || t == DType::f32 ? 4 : 1;
}

Int8Row output_row(const Int8Output& o, int64_t row, int64_t column) {
  Int8Row r = {};
  r.add = o.row_add ? o.row_add[row] : 0;
  r.scale = o.row_scale ? o.row_scale[o.row_scales == 1 ? 0 : row] : 1;
  r.col_scale = o.col_scale ? o.col_scale + column : nullptr;
  r.col_bias = o.col_bias ? o.col_bias + column : nullptr;
  r.zero = o.zero;
  return r;
}

// ---- matrix products
// -----------------------------------------------------------------------------------------------

struct MatMulPlan {
  int64_t depth, panels, rows, row_blocks, panel_blocks;
  bool direct;                              // rows of a are read where they lie
  int64_t b_terms, a_block, worker, bytes;  // bytes

  MatMulPlan(const Int8MatMulDesc& d, int threads) {
    depth = padded(d.k);
    panels = panels_of(d.n);
    rows = std::min(d.m, kBlockRows);
    row_blocks = rows ? (d.m + rows - 1) / rows : 0;
    // Few rows leave the columns to the threads.
    panel_blocks =
        std::clamp<int64_t>(row_blocks ? 4 * threads / row_blocks : 1, 1, std::max<int64_t>(1, panels / 2));
    if (threads == 1) panel_blocks = 1;
    direct = !d.a_signed && d.k % 4 == 0;
    b_terms = aligned(panels * kPanel * 4);
    a_block = direct ? 0 : aligned(rows * depth);
    worker = a_block + aligned(int64_t(sizeof(int32_t)) * kInt8Rows * kPanel);
    bytes = 2 * b_terms + worker * threads;
  }
};

}  // namespace

int64_t int8_packed_bytes(int64_t k, int64_t n) {
  return aligned(panels_of(n) * kPanel * padded(k)) + aligned(panels_of(n) * kPanel * 4);
}

// Panels [k / 4][column][4], then the sum of each column.
void int8_pack(int64_t k, int64_t n, bool b_signed, const void* b, void* packed) {
  const auto* from = static_cast<const uint8_t*>(b);
  auto* out = static_cast<uint8_t*>(packed);
  const int64_t depth = padded(k), panels = panels_of(n);
  auto* sums = reinterpret_cast<int32_t*>(out + aligned(panels * kPanel * depth));
  std::memset(packed, 0, size_t(int8_packed_bytes(k, n)));
  uint8_t rows[4][kPanel];
  const uint8_t flip = b_signed ? 0 : 0x80;
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t columns = std::min(kPanel, n - p * kPanel);
    for (int64_t q = 0; q < depth; q += 4) {
      std::memset(rows, 0, sizeof rows);
      for (int64_t r = 0; r < 4 && q + r < k; ++r)
        for (int64_t j = 0; j < columns; ++j) {
          rows[r][j] = from[(q + r) * n + p * kPanel + j] ^ flip;
          sums[p * kPanel + j] += int8_t(rows[r][j]);
        }
      int8_interleave(rows, out + p * kPanel * depth + q * kPanel);
    }
  }
}

int64_t int8_matmul_scratch_bytes(const Int8MatMulDesc& d, int threads) {
  return MatMulPlan(d, threads).bytes;
}

void int8_matmul(ThreadPool& pool, const Int8MatMulDesc& d, const void* a, const void* packed,
                 const Int8Zeros& zeros, const Int8Output& output, void* y, void* scratch) {
  if (d.m == 0 || d.n == 0) return;
  const MatMulPlan plan(d, pool.threads());
  const auto* b = static_cast<const uint8_t*>(packed);
  const auto* sums = reinterpret_cast<const int32_t*>(b + aligned(plan.panels * kPanel * plan.depth));
  auto* memory = static_cast<char*>(scratch);
  // Zero points of b, and what those of a multiply.
  auto *c1 = reinterpret_cast<int32_t*>(memory), *c2 = reinterpret_cast<int32_t*>(memory + plan.b_terms);
  bool b_centred = true;
  for (int64_t j = 0; j < plan.panels * kPanel; ++j) {
    const int32_t own = zeros.b && j < d.n ? zeros.b[zeros.b_zeros == 1 ? 0 : j] : 0;
    c1[j] = own - (d.b_signed ? 0 : 128);
    c2[j] = wrapped(int64_t(sums[j]) - d.k * c1[j]);
    b_centred = b_centred && c1[j] == 0;
  }
  const Int8TileFn tile = int8_tile(d.isa);
  const auto* in = static_cast<const uint8_t*>(a);
  const int64_t each = element_bytes(output.type);
  parallel_tasks(pool, plan.row_blocks * plan.panel_blocks, plan.rows * d.n / plan.panel_blocks * d.k / 16,
                 [&](int64_t task, int worker) {
                   const int64_t m0 = task / plan.panel_blocks * plan.rows,
                                 m1 = std::min(d.m, m0 + plan.rows), part = task % plan.panel_blocks;
                   char* mine = memory + 2 * plan.b_terms + worker * plan.worker;
                   const uint8_t* rows = in + m0 * d.k;
                   if (!plan.direct) {
                     auto* copy = reinterpret_cast<uint8_t*>(mine);
                     for (int64_t i = m0; i < m1; ++i)
                       copy_row(in + i * d.k, d.k, plan.depth, d.a_signed, copy + (i - m0) * plan.depth);
                     rows = copy;
                   }
                   int32_t row_sums[kBlockRows] = {};
                   if (!b_centred)
                     for (int64_t i = m0; i < m1; ++i)
                       row_sums[i - m0] = sum_of_unsigned(rows + (i - m0) * plan.depth, d.k);
                   auto* out = reinterpret_cast<int32_t(*)[kInt8Columns]>(mine + plan.a_block);
                   for (int64_t p = plan.panels * part / plan.panel_blocks;
                        p < plan.panels * (part + 1) / plan.panel_blocks; ++p) {
                     const int64_t n0 = p * kPanel, columns = std::min(kPanel, d.n - n0);
                     for (int64_t m = m0; m < m1; m += kInt8Rows) {
                       const int count = int(std::min<int64_t>(kInt8Rows, m1 - m));
                       tile({rows + (m - m0) * plan.depth, plan.depth, b + n0 * plan.depth, plan.depth, count,
                             int(columns), true, out});
                       for (int64_t i = m; i < m + count; ++i) {
                         Int8Row r = output_row(output, i, n0);
                         r.sums = out[i - m];
                         r.n = columns;
                         r.r1 = row_sums[i - m0];
                         r.r2 = (zeros.a ? zeros.a[zeros.a_zeros == 1 ? 0 : i] : 0) + (d.a_signed ? 128 : 0);
                         r.c1 = c1 + n0, r.c2 = c2 + n0;
                         int8_finish_row(r, output.type, static_cast<char*>(y) + (i * d.n + n0) * each);
                       }
                     }
                   }
                 });
}

// ---- convolutions
// --------------------------------------------------------------------------------------------------

// Rows of weights as they lie, padded, then the sum of each row.
int64_t int8_conv_packed_bytes(const Int8ConvDesc& d) {
  const int64_t rows = d.groups * d.out_channels;
  return aligned(rows * padded(d.in_channels * d.taps())) + aligned(rows * 4);
}

void int8_conv_pack(const Int8ConvDesc& d, const void* w, void* packed) {
  const int64_t rows = d.groups * d.out_channels, k = d.in_channels * d.taps(), depth = padded(k);
  auto* out = static_cast<uint8_t*>(packed);
  auto* sums = reinterpret_cast<int32_t*>(out + aligned(rows * depth));
  std::memset(packed, 0, size_t(int8_conv_packed_bytes(d)));
  for (int64_t i = 0; i < rows; ++i) {
    copy_row(static_cast<const uint8_t*>(w) + i * k, k, depth, !d.w_signed, out + i * depth);
    sums[i] = sum_of_signed(out + i * depth, k);
  }
}

namespace {

// The input's planes with their border of zero points, so that every kernel position of every pixel lies
// inside.
struct Bordered {
  int64_t size[3], plane;  // bytes

  explicit Bordered(const Int8ConvDesc& d) {
    plane = 1;
    for (int i = 0; i < 3; ++i) {
      const Window& w = d.windows[i];
      size[i] = w.out > 0 ? (w.out - 1) * w.stride + (w.kernel - 1) * w.dilation + 1 : 0;
      plane *= size[i];
    }
  }
  // Whole panels are read where less is needed.
  int64_t bytes(const Int8ConvDesc& d) const {
    return aligned(d.batch * d.groups * d.in_channels * plane + kPanel);
  }
  int64_t offset(int64_t i0, int64_t i1, int64_t i2) const { return (i0 * size[1] + i1) * size[2] + i2; }
};

void add_border(const Int8ConvDesc& d, const Bordered& to, const uint8_t* x, uint8_t zero, uint8_t flip,
                uint8_t* out) {
  const Window &w0 = d.windows[0], &w1 = d.windows[1], &w = d.windows[2];
  const int64_t low = std::min(w.pad_begin, to.size[2]),
                high = std::clamp<int64_t>(w.pad_begin + w.in, low, to.size[2]);
  for (int64_t p0 = 0; p0 < to.size[0]; ++p0)
    for (int64_t p1 = 0; p1 < to.size[1]; ++p1, out += to.size[2]) {
      const int64_t i0 = p0 - w0.pad_begin, i1 = p1 - w1.pad_begin;
      if (i0 < 0 || i0 >= w0.in || i1 < 0 || i1 >= w1.in) {
        std::memset(out, zero, size_t(to.size[2]));
        continue;
      }
      const uint8_t* line = x + (i0 * w1.in + i1) * w.in;
      std::memset(out, zero, size_t(low));
      for (int64_t i = low; i < high; ++i) out[i] = line[i - w.pad_begin] ^ flip;
      std::memset(out + high, zero, size_t(to.size[2] - high));
    }
}

// The pixels of a panel, as pieces of lines: where a piece's first pixel lies at the first kernel position.
struct Piece {
  int64_t offset;
  int from, count;
};

int cut_pieces(const Int8ConvDesc& d, const Bordered& in, int64_t pixel, int64_t count, Piece* pieces) {
  const Window &w0 = d.windows[0], &w1 = d.windows[1], &w = d.windows[2];
  int n = 0;
  for (int64_t done = 0; done < count;) {
    Piece& p = pieces[n++];
    const int64_t line = (pixel + done) / w.out, column = (pixel + done) % w.out;
    p.offset = in.offset(line / w1.out * w0.stride, line % w1.out * w1.stride, column * w.stride);
    p.from = int(done);
    p.count = int(std::min(count - done, w.out - column));
    done += p.count;
  }
  return n;
}

// The bytes that one kernel position of a plane gives to the pixels. Writes up to a panel's width behind the
// last piece.
void gather_tap(const uint8_t* plane, int64_t stride, const Piece* pieces, int count, uint8_t* out) {
  for (int p = 0; p < count; ++p) {
    const uint8_t* line = plane + pieces[p].offset;
    uint8_t* to = out + pieces[p].from;
    if (stride == 1)
      std::memcpy(to, line, kPanel);  // the next piece overwrites what is too much
    else
      for (int i = 0; i < pieces[p].count; ++i) to[i] = line[i * stride];
  }
}

int64_t conv_worker_bytes(const Int8ConvDesc& d) {
  return aligned(padded(d.in_channels * d.taps()) * kPanel) +
         aligned(int64_t(sizeof(int32_t)) * kInt8Rows * kPanel);
}

}  // namespace

int64_t int8_conv_scratch_bytes(const Int8ConvDesc& d, int threads) {
  return Bordered(d).bytes(d) + conv_worker_bytes(d) * threads;
}

void int8_conv(ThreadPool& pool, const Int8ConvDesc& d, const void* x, const void* packed, int32_t x_zero,
               const int32_t* w_zero, int64_t w_zeros, const Int8Output& output, void* y, void* scratch) {
  const int64_t k = d.in_channels * d.taps(), depth = padded(k), plane = d.out_plane(),
                panels = panels_of(plane);
  if (d.batch == 0 || d.out_channels == 0 || plane == 0) return;
  const auto* weights = static_cast<const uint8_t*>(packed);
  const auto* sums = reinterpret_cast<const int32_t*>(weights + aligned(d.groups * d.out_channels * depth));
  const auto zero_of = [&](int64_t row) {
    return (w_zero ? w_zero[w_zeros == 1 ? 0 : row] : 0) - (d.w_signed ? 0 : 128);
  };
  bool w_centred = true;
  for (int64_t i = 0; i < (w_zero ? w_zeros : 1); ++i) w_centred = w_centred && zero_of(i) == 0;
  const int32_t za = x_zero + (d.x_signed ? 128 : 0);
  const uint8_t flip = d.x_signed ? 0x80 : 0, outside = uint8_t(za);
  const Int8TileFn tile = int8_tile(d.isa);
  const int64_t each = element_bytes(output.type);
  const Bordered in(d);
  auto* bordered = static_cast<uint8_t*>(scratch);
  parallel_ranges(pool, d.batch * d.groups * d.in_channels, in.plane, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; ++c)
      add_border(d, in, static_cast<const uint8_t*>(x) + c * d.in_plane(), outside, flip,
                 bordered + c * in.plane);
  });
  parallel_tasks(pool, d.batch * d.groups * panels, kPanel * (depth + d.out_channels * depth / 16),
                 [&](int64_t task, int worker) {
                   const int64_t pixel = task % panels * kPanel, group = task / panels % d.groups,
                                 n = task / (panels * d.groups);
                   const int64_t columns = std::min(kPanel, plane - pixel);
                   char* mine = static_cast<char*>(scratch) + in.bytes(d) + worker * conv_worker_bytes(d);
                   auto* panel = reinterpret_cast<uint8_t*>(mine);
                   auto* out = reinterpret_cast<int32_t(*)[kInt8Columns]>(mine + aligned(depth * kPanel));
                   Piece pieces[kInt8Columns];
                   const int count = cut_pieces(d, in, pixel, columns, pieces);
                   int32_t column_sums[kInt8Columns] = {}, ones[kInt8Columns];
                   std::fill_n(ones, kInt8Columns, 1);
                   const uint8_t* planes = bordered + (n * d.groups + group) * d.in_channels * in.plane;
                   uint8_t rows[5][kInt8Columns] = {};  // the fifth for what gather_tap writes too much
                   int64_t at = 0;
                   const auto next = [&] {
                     if (!w_centred)
                       for (int j = 0; j < kInt8Columns; ++j) column_sums[j] += rows[at % 4][j];
                     if (++at % 4 == 0) int8_interleave(rows, panel + (at - 4) * kPanel);
                   };
                   for (int64_t c = 0; c < d.in_channels; ++c) {
                     const Window *w0 = &d.windows[0], *w1 = &d.windows[1], *w2 = &d.windows[2];
                     for (int64_t t0 = 0; t0 < w0->kernel; ++t0)
                       for (int64_t t1 = 0; t1 < w1->kernel; ++t1)
                         for (int64_t t2 = 0; t2 < w2->kernel; ++t2) {
                           const int64_t tap =
                               in.offset(t0 * w0->dilation, t1 * w1->dilation, t2 * w2->dilation);
                           gather_tap(planes + c * in.plane + tap, w2->stride, pieces, count, rows[at % 4]);
                           next();
                         }
                   }
                   while (at % 4) {
                     std::memset(rows[at % 4], 0, kInt8Columns);
                     next();
                   }
                   for (int64_t m = 0; m < d.out_channels; m += kInt8Rows) {
                     const int64_t first = group * d.out_channels + m;
                     const int height = int(std::min<int64_t>(kInt8Rows, d.out_channels - m));
                     tile({weights + first * depth, depth, panel, depth, height, int(columns), false, out});
                     for (int64_t i = first; i < first + height; ++i) {
                       Int8Row r = output_row(output, i, 0);
                       r.sums = out[i - first];
                       r.n = columns;
                       const int32_t zw = zero_of(i);
                       r.r1 = zw, r.c1 = column_sums;
                       r.r2 = wrapped((int64_t(sums[i]) - k * zw) * za), r.c2 = ones;
                       int8_finish_row(r, output.type,
                                       static_cast<char*>(y) +
                                           ((n * d.groups * d.out_channels + i) * plane + pixel) * each);
                     }
                   }
                 });
}

}  // namespace tenon::cpu
