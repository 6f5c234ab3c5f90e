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

// The pixels of a panel, as pieces of lines.
struct Piece {
  int64_t at[3];  // output position of the first
  int from, count;
};

// Gathers the bytes that kernel position `tap` of one channel's plane gives to the pixels; outside it is
// `zero`.
void gather_tap(const Int8ConvDesc& d, const uint8_t* plane, const int64_t tap[3], const Piece* pieces,
                int count, uint8_t zero, uint8_t flip, uint8_t* out) {
  const Window &w0 = d.windows[0], &w1 = d.windows[1], &w = d.windows[2];
  for (int p = 0; p < count; ++p) {
    const Piece& piece = pieces[p];
    uint8_t* to = out + piece.from;
    const int64_t i0 = w0.at(piece.at[0], tap[0]), i1 = w1.at(piece.at[1], tap[1]),
                  first = w.at(piece.at[2], tap[2]);
    if (i0 < 0 || i0 >= w0.in || i1 < 0 || i1 >= w1.in) {
      std::memset(to, zero, size_t(piece.count));
      continue;
    }
    const uint8_t* line = plane + (i0 * w1.in + i1) * w.in;
    // Pixels [low, high) of the piece lie inside.
    const int64_t low =
        std::clamp<int64_t>(first < 0 ? (-first + w.stride - 1) / w.stride : 0, 0, piece.count);
    const int64_t high =
        std::clamp<int64_t>(first < w.in ? (w.in - 1 - first) / w.stride + 1 : 0, low, piece.count);
    std::memset(to, zero, size_t(low));
    std::memset(to + high, zero, size_t(piece.count - high));
    if (w.stride == 1) {
      if (flip == 0)
        std::memcpy(to + low, line + first + low, size_t(high - low));
      else
        for (int64_t i = low; i < high; ++i) to[i] = line[first + i] ^ flip;
    } else {
      for (int64_t i = low; i < high; ++i) to[i] = line[first + i * w.stride] ^ flip;
    }
  }
}

int cut_pieces(const Int8ConvDesc& d, int64_t pixel, int64_t count, Piece* pieces) {
  int n = 0;
  for (int64_t done = 0; done < count;) {
    Piece& p = pieces[n++];
    const int64_t line = (pixel + done) / d.windows[2].out;
    p.at[2] = (pixel + done) % d.windows[2].out;
    p.at[1] = line % d.windows[1].out;
    p.at[0] = line / d.windows[1].out;
    p.from = int(done);
    p.count = int(std::min(count - done, d.windows[2].out - p.at[2]));
    done += p.count;
  }
  return n;
}

int64_t conv_worker_bytes(const Int8ConvDesc& d) {
  return aligned(padded(d.in_channels * d.taps()) * kPanel) +
         aligned(int64_t(sizeof(int32_t)) * kInt8Rows * kPanel);
}

}  // namespace

int64_t int8_conv_scratch_bytes(const Int8ConvDesc& d, int threads) {
  return conv_worker_bytes(d) * threads;
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
  parallel_tasks(
      pool, d.batch * d.groups * panels, kPanel * (depth + d.out_channels * depth / 16),
      [&](int64_t task, int worker) {
        const int64_t pixel = task % panels * kPanel, group = task / panels % d.groups,
                      n = task / (panels * d.groups);
        const int64_t columns = std::min(kPanel, plane - pixel);
        char* mine = static_cast<char*>(scratch) + worker * conv_worker_bytes(d);
        auto* panel = reinterpret_cast<uint8_t*>(mine);
        auto* out = reinterpret_cast<int32_t(*)[kInt8Columns]>(mine + aligned(depth * kPanel));
        Piece pieces[kInt8Columns];
        const int count = cut_pieces(d, pixel, columns, pieces);
        int32_t column_sums[kInt8Columns] = {}, ones[kInt8Columns];
        std::fill_n(ones, kInt8Columns, 1);
        const uint8_t* planes =
            static_cast<const uint8_t*>(x) + (n * d.groups + group) * d.in_channels * d.in_plane();
        uint8_t rows[4][kInt8Columns] = {};
        int64_t at = 0;
        const auto next = [&] {
          if (!w_centred)
            for (int j = 0; j < kInt8Columns; ++j) column_sums[j] += rows[at % 4][j];
          if (++at % 4 == 0) int8_interleave(rows, panel + (at - 4) * kPanel);
        };
        for (int64_t c = 0; c < d.in_channels; ++c) {
          int64_t tap[3];
          for (tap[0] = 0; tap[0] < d.windows[0].kernel; ++tap[0])
            for (tap[1] = 0; tap[1] < d.windows[1].kernel; ++tap[1])
              for (tap[2] = 0; tap[2] < d.windows[2].kernel; ++tap[2]) {
                gather_tap(d, planes + c * d.in_plane(), tap, pieces, count, outside, flip, rows[at % 4]);
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
            int8_finish_row(
                r, output.type,
                static_cast<char*>(y) + ((n * d.groups * d.out_channels + i) * plane + pixel) * each);
          }
        }
      });
}

}  // namespace tenon::cpu
