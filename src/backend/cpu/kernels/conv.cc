// conv: chooses how input pixels become the rows of a matrix product, and builds the row pointers.
#include "backend/cpu/kernels/conv.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/depthwise.h"
#include "backend/cpu/kernels/igemm.h"

namespace tenon::cpu {
namespace {

// Up to this many channels a kernel row is read as one run: taps of so few floats would be all overhead.
constexpr int64_t kFoldChannels = 15;

struct Context {
  const ConvDesc* d;
  const float* zero;
  int64_t ld_in;
  int64_t packed_step, in_step;  // floats between groups
};

int64_t input_pitch(const ConvDesc& d) {
  return d.ld_in != 0 ? d.ld_in : d.in_c;
}

// Consecutive output pixels of one output row, as part of a tile: rows [i, i + count) of it.
struct Run {
  int64_t n, od, oh, ow;
  int i, count;
};

// Calls f for each run of the tile's pixels [m0, m0 + mr).
template <class F>
void for_each_run(const ConvDesc& d, int64_t m0, int mr, const F& f) {
  const int64_t line = m0 / d.out_w;
  const int64_t plane = line / d.out_h;
  Run r = {plane / d.out_d, plane % d.out_d, line % d.out_h, m0 - line * d.out_w, 0, 0};
  while (r.i < mr) {
    r.count = static_cast<int>(std::min<int64_t>(mr - r.i, d.out_w - r.ow));
    f(r);
    r.i += r.count;
    r.ow = 0;
    if (++r.oh < d.out_h) continue;
    r.oh = 0;
    if (++r.od == d.out_d) r.od = 0, ++r.n;
  }
}

// Input column of a run's first pixel, at kernel column 0.
int64_t first_column(const ConvDesc& d, const Run& r) {
  return r.ow * d.stride_w - d.pad_left;
}

// Whether all pixels of the run read inside the image at columns [column, column + width).
bool inside(const ConvDesc& d, const Run& r, int64_t column, int64_t width) {
  return column >= 0 && column + (r.count - 1) * d.stride_w + width <= d.in_w;
}

void igemm_rows(const Igemm& g, int64_t m0, int mr, int64_t t0, int64_t nt, const float** out, float*) {
  const Context& c = *static_cast<const Context*>(g.rows_context);
  const ConvDesc& d = *c.d;
  const int64_t kd0 = t0 / (d.kernel_w * d.kernel_h);
  const int64_t kh0 = t0 / d.kernel_w % d.kernel_h;
  const int64_t kw0 = t0 % d.kernel_w;
  const int64_t step = d.stride_w * c.ld_in;
  for_each_run(d, m0, mr, [&](const Run& r) {
    const float** o = out + r.i;
    int64_t kd = kd0;
    int64_t kh = kh0;
    int64_t kw = kw0;
    for (int64_t t = 0; t < nt; ++t, o += mr) {
      const int64_t id = r.od * d.stride_d - d.pad_front + kd * d.dilation_d;
      const int64_t ih = r.oh * d.stride_h - d.pad_top + kh * d.dilation_h;
      const int64_t iw = first_column(d, r) + kw * d.dilation_w;
      if (id < 0 || id >= d.in_d || ih < 0 || ih >= d.in_h) {
        for (int i = 0; i < r.count; ++i) o[i] = c.zero;
      } else {
        const float* line = g.a + ((r.n * d.in_d + id) * d.in_h + ih) * d.in_w * c.ld_in;
        if (inside(d, r, iw, 1)) {
          const float* first = line + iw * c.ld_in;
          for (int i = 0; i < r.count; ++i) o[i] = first + i * step;
        } else {
          for (int i = 0; i < r.count; ++i) {
            const int64_t column = iw + i * d.stride_w;
            o[i] = column >= 0 && column < d.in_w ? line + column * c.ld_in : c.zero;
          }
        }
      }
      if (++kw < d.kernel_w) continue;
      kw = 0;
      if (++kh == d.kernel_h) kh = 0, ++kd;
    }
  });
}

// A run of kernel_w positions of `step` floats each from input column iw0, copied because it crosses a border
// or has gaps.
const float* copy_run(const ConvDesc& d, const float* row, int64_t iw0, int64_t step, float* copy) {
  for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
    const int64_t iw = iw0 + kw * d.dilation_w;
    const bool inside = iw >= 0 && iw < d.in_w;
    for (int64_t j = 0; j < step; ++j) copy[kw * step + j] = inside ? row[iw * step + j] : 0.0f;
  }
  return copy;
}

// Rows of the folded form: a tap is a kernel row; of the channels-first form: a kernel row of one channel.
// `planes` of `kernel_h` lines each, `step` floats between neighbouring columns.
void run_rows(const Igemm& g, int64_t m0, int mr, int64_t t0, int64_t nt, int64_t step, int64_t image,
              int64_t plane, const float** out, float* patch) {
  const Context& c = *static_cast<const Context*>(g.rows_context);
  const ConvDesc& d = *c.d;
  const int64_t line = d.in_w * step;
  const int64_t first_plane = t0 / d.kernel_h;
  const int64_t first_kh = t0 % d.kernel_h;
  for_each_run(d, m0, mr, [&](const Run& r) {
    const int64_t iw0 = first_column(d, r);
    const bool direct = d.dilation_w == 1 && inside(d, r, iw0, d.kernel_w);
    const float* top = g.a + r.n * image + first_plane * plane;
    const float** o = out + r.i;
    float* copy = patch + r.i * g.depth;
    int64_t kh = first_kh;
    for (int64_t t = 0; t < nt; ++t, o += mr, copy += mr * g.depth) {
      const int64_t ih = r.oh * d.stride_h - d.pad_top + kh * d.dilation_h;
      if (ih < 0 || ih >= d.in_h) {
        for (int i = 0; i < r.count; ++i) o[i] = c.zero;
      } else if (direct) {
        const float* first = top + ih * line + iw0 * step;
        for (int i = 0; i < r.count; ++i) o[i] = first + i * d.stride_w * step;
      } else {
        for (int i = 0; i < r.count; ++i) {
          const int64_t column = iw0 + i * d.stride_w;
          const bool whole = d.dilation_w == 1 && column >= 0 && column + d.kernel_w <= d.in_w;
          o[i] = whole ? top + ih * line + column * step
                       : copy_run(d, top + ih * line, column, step, copy + i * g.depth);
        }
      }
      if (++kh == d.kernel_h) kh = 0, top += plane;
    }
  });
}

void folded_rows(const Igemm& g, int64_t m0, int mr, int64_t t0, int64_t nt, const float** out,
                 float* patch) {
  const ConvDesc& d = *static_cast<const Context*>(g.rows_context)->d;
  run_rows(g, m0, mr, t0, nt, d.in_c, d.in_h * d.in_w * d.in_c, 0, out, patch);
}

void nchw_rows(const Igemm& g, int64_t m0, int mr, int64_t t0, int64_t nt, const float** out, float* patch) {
  const ConvDesc& d = *static_cast<const Context*>(g.rows_context)->d;
  run_rows(g, m0, mr, t0, nt, 1, d.in_c * d.in_h * d.in_w, d.in_h * d.in_w, out, patch);
}

void select_group(const void* context, int64_t i, Igemm* g) {
  const Context& c = *static_cast<const Context*>(context);
  g->a += i * c.in_step;
  g->b += i * c.packed_step;
  g->c += i * g->n;
  g->col0 = i * g->n;
  if (g->e.col_bias) g->e.col_bias += i * g->n;
  if (g->e.residual) g->e.residual += i * g->n;
}

// The shape of the matrix product of one group.
Igemm product(const ConvDesc& d, ConvKind kind) {
  Igemm g;
  g.table = &micro_table(d.isa);
  g.m = d.batch * d.out_d * d.out_h * d.out_w;
  g.n = d.groups > 0 ? d.out_c / d.groups : 0;
  const int64_t channels = d.groups > 0 ? d.in_c / d.groups : 0;
  switch (kind) {
    case ConvKind::folded:
      g.taps = d.kernel_h;
      g.depth = d.kernel_w * channels;
      g.rows = &folded_rows;
      break;
    case ConvKind::nchw:
      g.taps = channels * d.kernel_h;
      g.depth = d.kernel_w;
      g.rows = &nchw_rows;
      break;
    case ConvKind::gemm:
      g.depth = channels;
      break;
    default:
      g.taps = d.kernel_d * d.kernel_h * d.kernel_w;
      g.depth = channels;
      g.rows = &igemm_rows;
      break;
  }
  const bool patches = kind == ConvKind::folded || kind == ConvKind::nchw;
  g.patch_floats = patches ? kMaxMr * g.taps * g.depth : 0;
  return g;
}

bool by_channels(ConvKind kind) {
  return kind == ConvKind::depthwise || kind == ConvKind::grouped;
}

}  // namespace

ConvKind conv_kind(const ConvDesc& d) {
  if (d.nchw_input) return ConvKind::nchw;
  if (!d.volume && d.groups > 1 && d.groups == d.in_c && d.groups == d.out_c) return ConvKind::depthwise;
  if (!d.volume && d.groups > 1 && depthwise_takes_groups(d)) return ConvKind::grouped;
  const bool pointwise = d.kernel_d == 1 && d.kernel_h == 1 && d.kernel_w == 1;
  if (pointwise && d.stride_d == 1 && d.stride_h == 1 && d.stride_w == 1 && d.pad_front == 0 && d.pad_top == 0 &&
      d.pad_left == 0 && d.out_d == d.in_d && d.out_h == d.in_h && d.out_w == d.in_w) {
    return ConvKind::gemm;
  }
  const bool can_fold = !d.volume && !pointwise && d.groups == 1 && input_pitch(d) == d.in_c;
  const bool fold = d.fold == ConvDesc::Fold::automatic ? d.in_c <= kFoldChannels : d.fold == ConvDesc::Fold::yes;
  if (can_fold && fold) return ConvKind::folded;
  return ConvKind::igemm;
}

std::string_view conv_kind_name(ConvKind kind) {
  switch (kind) {
    case ConvKind::gemm:
      return "gemm";
    case ConvKind::igemm:
      return "igemm";
    case ConvKind::folded:
      return "folded";
    case ConvKind::nchw:
      return "nchw";
    case ConvKind::depthwise:
      return "depthwise";
    case ConvKind::grouped:
      return "grouped";
  }
  return "?";
}

int64_t conv_packed_bytes(const ConvDesc& d) {
  if (by_channels(conv_kind(d))) return depthwise_packed_bytes(d);
  if (d.groups <= 0) return 0;
  const int64_t k = d.in_c / d.groups * d.kernel_d * d.kernel_h * d.kernel_w;
  return 4 * d.groups * igemm_packed_floats(d.isa, k, d.out_c / d.groups);
}

void conv_pack(const ConvDesc& d, const float* weights, float* packed) {
  if (by_channels(conv_kind(d))) return depthwise_pack(d, weights, packed);
  if (d.groups <= 0) return;
  const MicroTable& t = micro_table(d.isa);
  const int64_t channels = d.in_c / d.groups;
  const int64_t n = d.out_c / d.groups;
  const int64_t taps = d.kernel_d * d.kernel_h * d.kernel_w;
  const int64_t k = channels * taps;
  const int64_t step = igemm_packed_floats(d.isa, k, n);
  for (int64_t g = 0; g < d.groups; ++g) {
    const float* w = weights + g * n * k;
    float* out = packed + g * step;
    if (d.nchw_input) {
      igemm_pack(d.isa, k, n, w, 1, k, out);
      continue;
    }
    if (k == 0) continue;  // there may be no weights to point into
    // [channel][tap] becomes [tap][channel].
    for (int64_t p = 0; p * t.nr() < n; ++p) {
      const int64_t cols = std::min<int64_t>(t.nr(), n - p * t.nr());
      const int64_t width = (cols + t.lanes - 1) / t.lanes * t.lanes;
      float* panel = out + p * t.nr() * k;
      for (int64_t tap = 0; tap < taps; ++tap) {
        igemm_pack_panel(t, channels, n, p, w + tap, taps, k, panel + tap * channels * width);
      }
    }
  }
}

int64_t conv_scratch_bytes(const ConvDesc& d, int threads) {
  const ConvKind kind = conv_kind(d);
  if (by_channels(kind)) return depthwise_scratch_bytes(d, threads);
  const Igemm g = product(d, kind);
  return align64(g.depth * 4) + igemm_scratch_bytes(d.isa, g.taps, g.patch_floats, threads);
}

void conv(const ConvDesc& d, const float* x, const float* packed, float* y, const Epilogue& epilogue,
          void* scratch, ThreadPool& pool) {
  const ConvKind kind = conv_kind(d);
  if (by_channels(kind)) return depthwise(d, x, packed, y, epilogue, scratch, pool);
  Igemm g = product(d, kind);
  if (g.m <= 0 || g.n <= 0) return;
  Context context;
  context.d = &d;
  context.zero = static_cast<float*>(scratch);
  context.ld_in = input_pitch(d);
  const int64_t channels = d.in_c / d.groups;
  context.packed_step = igemm_packed_floats(d.isa, g.taps * g.depth, g.n);
  context.in_step = d.nchw_input ? channels * d.in_h * d.in_w : channels;
  std::memset(scratch, 0, static_cast<size_t>(g.depth) * 4);
  g.rows_context = &context;
  g.a = x;
  g.lda = context.ld_in;
  g.b = packed;
  g.c = y;
  g.ldc = d.ld_out != 0 ? d.ld_out : d.out_c;
  g.e = epilogue;
  if (g.e.ld_residual == 0) g.e.ld_residual = d.out_c;
  igemm(g, {d.groups, &select_group, &context}, static_cast<char*>(scratch) + align64(g.depth * 4), pool);
}

}  // namespace tenon::cpu
