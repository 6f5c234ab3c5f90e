// conv_transpose: the outputs that see the same subset of taps form a phase, and each phase is an ordinary
// convolution.
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/igemm.h"

namespace tenon::cpu {
namespace {

// Along one axis: outputs o = first + i * stride, i < count, see the kernel positions k with k * dilation =
// phase modulo stride.
struct Axis {
  int64_t phase, stride, kernel, dilation, pad, first, count;
  Axis(int64_t phase_, int64_t stride_, int64_t kernel_, int64_t dilation_, int64_t pad_, int64_t out)
      : phase(phase_), stride(stride_), kernel(kernel_), dilation(dilation_), pad(pad_) {
    first = ((phase - pad) % stride + stride) % stride;
    count = out > first ? (out - first + stride - 1) / stride : 0;
  }
  bool has(int64_t k) const { return (k * dilation) % stride == phase; }
  int64_t taps() const {
    int64_t n = 0;
    for (int64_t k = 0; k < kernel; ++k) n += has(k);
    return n;
  }
};

Axis axis_h(const ConvDesc& d, int64_t phase) {
  return Axis(phase, d.stride_h, d.kernel_h, d.dilation_h, d.pad_top, d.out_h);
}
Axis axis_w(const ConvDesc& d, int64_t phase) {
  return Axis(phase, d.stride_w, d.kernel_w, d.dilation_w, d.pad_left, d.out_w);
}

struct Context {
  const ConvDesc* d;
  const Axis* h;
  const Axis* w;
  const float* zero;
  int64_t ld_in, ld_out, ld_residual;
  int64_t packed_step;
  int64_t first_pixel;
};

void transposed_rows(const Igemm& g, int64_t m0, int mr, int64_t t0, int64_t nt, const float** out, float*) {
  const Context& c = *static_cast<const Context*>(g.rows_context);
  const ConvDesc& d = *c.d;
  const Axis& h = *c.h;
  const Axis& w = *c.w;
  for (int i = 0; i < mr; ++i) {
    const int64_t m = m0 + i;
    const int64_t oh = h.first + m / w.count * d.stride_h + d.pad_top;
    const int64_t ow = w.first + m % w.count * d.stride_w + d.pad_left;
    int64_t t = 0;
    for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
      if (!h.has(kh)) continue;
      const int64_t up = oh - kh * d.dilation_h;  // a multiple of the stride
      const int64_t ih = up / d.stride_h;
      for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
        if (!w.has(kw)) continue;
        if (t >= t0 && t < t0 + nt) {
          const int64_t left = ow - kw * d.dilation_w;
          const int64_t iw = left / d.stride_w;
          const bool inside = up >= 0 && ih < d.in_h && left >= 0 && iw < d.in_w;
          out[(t - t0) * mr + i] = inside ? g.a + (ih * d.in_w + iw) * c.ld_in : c.zero;
        }
        ++t;
      }
    }
  }
}

void select_item(const void* context, int64_t i, Igemm* g) {
  const Context& c = *static_cast<const Context*>(context);
  const ConvDesc& d = *c.d;
  const int64_t group = i % d.groups;
  const int64_t n = i / d.groups;
  const int64_t pixel = n * d.out_h * d.out_w + c.first_pixel;
  g->a += n * d.in_h * d.in_w * c.ld_in + group * (d.in_c / d.groups);
  g->b += group * c.packed_step;
  g->c += pixel * c.ld_out + group * g->n;
  g->row0 = pixel;
  g->col0 = group * g->n;
  if (g->e.col_bias) g->e.col_bias += group * g->n;
  if (g->e.residual) g->e.residual += pixel * c.ld_residual + group * g->n;
}

int64_t most_taps(const ConvDesc& d) {
  int64_t h = 0;
  int64_t w = 0;
  for (int64_t r = 0; r < d.stride_h; ++r) h = std::max(h, axis_h(d, r).taps());
  for (int64_t r = 0; r < d.stride_w; ++r) w = std::max(w, axis_w(d, r).taps());
  return h * w;
}

}  // namespace

int64_t conv_transpose_packed_bytes(const ConvDesc& d) {
  // Every tap belongs to one phase.
  return 4 * d.groups *
         igemm_packed_floats(d.isa, d.in_c / d.groups * d.kernel_h * d.kernel_w, d.out_c / d.groups);
}

void conv_transpose_pack(const ConvDesc& d, const float* weights, float* packed) {
  const MicroTable& t = micro_table(d.isa);
  const int64_t channels = d.in_c / d.groups;
  const int64_t n = d.out_c / d.groups;
  const int64_t kernel = d.kernel_h * d.kernel_w;
  float* out = packed;
  for (int64_t rh = 0; rh < d.stride_h; ++rh) {
    const Axis h = axis_h(d, rh);
    for (int64_t rw = 0; rw < d.stride_w; ++rw) {
      const Axis w = axis_w(d, rw);
      const int64_t k = h.taps() * w.taps() * channels;
      for (int64_t g = 0; g < d.groups; ++g) {
        const float* src = weights + g * channels * n * kernel;
        for (int64_t p = 0; p * t.nr() < n; ++p) {
          const int64_t cols = std::min<int64_t>(t.nr(), n - p * t.nr());
          const int64_t width = (cols + t.lanes - 1) / t.lanes * t.lanes;
          float* o = out + p * t.nr() * k;
          for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
            for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
              if (!h.has(kh) || !w.has(kw)) continue;
              igemm_pack_panel(t, channels, n, p, src + kh * d.kernel_w + kw, n * kernel, kernel, o);
              o += channels * width;
            }
          }
        }
        out += igemm_packed_floats(d.isa, k, n);
      }
    }
  }
}

int64_t conv_transpose_scratch_bytes(const ConvDesc& d, int threads) {
  return align64(d.in_c * 4) + igemm_scratch_bytes(d.isa, most_taps(d), 0, threads);
}

void conv_transpose(const ConvDesc& d, const float* x, const float* packed, float* y,
                    const Epilogue& epilogue, void* scratch, ThreadPool& pool) {
  if (d.groups <= 0) return;
  std::memset(scratch, 0, static_cast<size_t>(d.in_c) * 4);
  Context context;
  context.d = &d;
  context.zero = static_cast<float*>(scratch);
  context.ld_in = d.ld_in != 0 ? d.ld_in : d.in_c;
  context.ld_out = d.ld_out != 0 ? d.ld_out : d.out_c;
  context.ld_residual = epilogue.ld_residual != 0 ? epilogue.ld_residual : d.out_c;
  Igemm g;
  g.table = &micro_table(d.isa);
  g.n = d.out_c / d.groups;
  g.depth = d.in_c / d.groups;
  g.rows = &transposed_rows;
  g.rows_context = &context;
  g.a = x;
  g.b = packed;
  g.c = y;
  g.ldc = context.ld_out;
  g.e = epilogue;
  g.e.ld_residual = context.ld_residual;
  g.outer_step = d.stride_h * d.out_w;
  g.inner_step = d.stride_w;
  for (int64_t rh = 0; rh < d.stride_h; ++rh) {
    const Axis h = axis_h(d, rh);
    context.h = &h;
    for (int64_t rw = 0; rw < d.stride_w; ++rw) {
      const Axis w = axis_w(d, rw);
      context.w = &w;
      g.taps = h.taps() * w.taps();
      g.m = h.count * w.count;
      g.inner = w.count;
      context.packed_step = igemm_packed_floats(d.isa, g.taps * g.depth, g.n);
      context.first_pixel = h.first * d.out_w + w.first;
      igemm(g, {d.batch * d.groups, &select_item, &context},
            static_cast<char*>(scratch) + align64(d.in_c * 4), pool);
      g.b += d.groups * context.packed_step;
    }
  }
}

}  // namespace tenon::cpu
