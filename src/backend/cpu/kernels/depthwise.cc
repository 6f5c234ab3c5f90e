// depthwise: cuts output rows into blocks of a few pixels and gives each block its input pointers.
#include "backend/cpu/kernels/depthwise.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/depthwise_micro.h"
#include "backend/cpu/kernels/igemm.h"

namespace tenon::cpu {
namespace {

int64_t padded_channels(const ConvDesc& d) {
  const int64_t lanes = depthwise_table(d.isa).lanes;
  return (d.in_c + lanes - 1) / lanes * lanes;
}

// The kernels for a 3- or 5-wide window read shared columns; others get pointers per tap.
const DepthwiseFn* fixed_kernels(const ConvDesc& d) {
  const DepthwiseTable& t = depthwise_table(d.isa);
  if (d.dilation_w != 1 || d.groups != d.in_c) return nullptr;
  if (d.kernel_w == 3) return d.stride_w == 1 ? t.k3s1 : d.stride_w == 2 ? t.k3s2 : nullptr;
  if (d.kernel_w == 5) return d.stride_w == 1 ? t.k5s1 : d.stride_w == 2 ? t.k5s2 : nullptr;
  return nullptr;
}

int64_t pointer_count(const ConvDesc& d) {
  const int64_t per_row =
      std::max(kMaxDepthwiseOutputs * d.kernel_w, (kMaxDepthwiseOutputs - 1) * d.stride_w + d.kernel_w);
  return std::max<int64_t>(1, d.kernel_h * per_row);
}

int64_t worker_bytes(const ConvDesc& d) {
  return align64(pointer_count(d) * 8) + align64(kMaxDepthwiseOutputs * d.in_c * 4);
}

}  // namespace

bool depthwise_takes_groups(const ConvDesc& d) {
  if (d.in_c != d.out_c) return false;
  const int64_t group = d.in_c / d.groups;
  return (group == 2 || group == 4 || group == 8) && group < depthwise_table(d.isa).lanes;
}

int64_t depthwise_packed_bytes(const ConvDesc& d) {
  return 4 * d.kernel_h * d.kernel_w * (d.in_c / d.groups) * padded_channels(d);
}

void depthwise_pack(const ConvDesc& d, const float* weights, float* packed) {
  const int64_t taps = d.kernel_h * d.kernel_w;
  const int64_t width = padded_channels(d);
  const int64_t group = d.in_c / d.groups;
  for (int64_t t = 0; t < taps; ++t) {
    for (int64_t j = 0; j < group; ++j) {
      for (int64_t c = 0; c < width; ++c) {
        *packed++ = c < d.out_c ? weights[(c * group + j) * taps + t] : 0.0f;
      }
    }
  }
}

int64_t depthwise_scratch_bytes(const ConvDesc& d, int threads) {
  return align64(d.in_c * 4) + threads * worker_bytes(d);
}

void depthwise(const ConvDesc& d, const float* x, const float* packed, float* y, const Epilogue& e,
               void* scratch, ThreadPool& pool) {
  if (d.batch <= 0 || d.out_h <= 0 || d.out_w <= 0 || d.in_c <= 0) return;
  float* zero = static_cast<float*>(scratch);
  std::memset(zero, 0, static_cast<size_t>(d.in_c) * 4);
  char* worker_memory = static_cast<char*>(scratch) + align64(d.in_c * 4);
  const int64_t per_worker = worker_bytes(d);
  const int64_t ld_in = d.ld_in != 0 ? d.ld_in : d.in_c;
  const int64_t ld_out = d.ld_out != 0 ? d.ld_out : d.out_c;
  const int64_t ld_residual = e.ld_residual != 0 ? e.ld_residual : d.out_c;
  const DepthwiseTable& table = depthwise_table(d.isa);
  const DepthwiseFn* fixed = fixed_kernels(d);
  const int64_t group = d.in_c / d.groups;
  const DepthwiseFn* kernels = fixed ? fixed : group > 1 ? table.grouped : table.any;
  const bool fast =
      !e.callback && (e.act == Activation::none || e.act == Activation::relu || e.act == Activation::clip);

  // Tasks are bands of output rows of about 100 k multiply-adds, at least four per thread where there are
  // rows.
  const int64_t rows = d.batch * d.out_h;
  const int64_t row_work = std::max<int64_t>(1, d.out_w * d.in_c * group * d.kernel_h * d.kernel_w);
  const int64_t even = std::max<int64_t>(1, rows / (4 * pool.threads()));
  const int64_t band = std::clamp<int64_t>(100000 / row_work, 1, even);

  pool.parallel_for((rows + band - 1) / band, [&](int64_t task, int worker) {
    const float** pointers = reinterpret_cast<const float**>(worker_memory + worker * per_worker);
    float* tile =
        reinterpret_cast<float*>(worker_memory + worker * per_worker + align64(pointer_count(d) * 8));
    DepthwiseArgs p = {};
    p.x = pointers;
    p.kernel_h = d.kernel_h;
    p.taps = d.kernel_h * d.kernel_w;
    p.channels = d.in_c;
    p.w = packed;
    p.ldw = padded_channels(d);
    p.group = group;
    p.finish = fast;
    p.clamp_lo = e.act == Activation::relu || e.act == Activation::clip;
    p.clamp_hi = e.act == Activation::clip;
    p.residual_after = e.residual_after;
    p.alpha = e.alpha, p.beta = e.beta;
    p.lo = e.act == Activation::clip ? e.a : 0.0f;
    p.hi = e.b;
    p.bias = e.col_bias;
    p.ld_residual = ld_residual;
    for (int64_t row = task * band; row < std::min(rows, (task + 1) * band); ++row) {
      const int64_t n = row / d.out_h;
      const int64_t ih0 = row % d.out_h * d.stride_h - d.pad_top;
      int64_t blocks = (d.out_w + kMaxDepthwiseOutputs - 1) / kMaxDepthwiseOutputs;
      int64_t previous = -1;  // outputs of the previous block if it touched no border
      for (int64_t ow = 0; ow < d.out_w; --blocks) {
        const int64_t outputs = (d.out_w - ow + blocks - 1) / blocks;
        const int64_t iw0 = ow * d.stride_w - d.pad_left;
        const int64_t columns = fixed ? (outputs - 1) * d.stride_w + d.kernel_w : outputs * d.kernel_w;
        const bool inside =
            iw0 >= 0 && iw0 + (outputs - 1) * d.stride_w + (d.kernel_w - 1) * d.dilation_w < d.in_w;
        // Away from the left and right borders the pointers just move on; rows outside the image stay at
        // zero.
        if (inside && previous == outputs && ih0 >= 0 && ih0 + (d.kernel_h - 1) * d.dilation_h < d.in_h) {
          const int64_t move = outputs * d.stride_w * ld_in;
          for (int64_t i = 0; i < d.kernel_h * columns; ++i) pointers[i] += move;
        } else {
          const float** o = pointers;
          for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
            const int64_t ih = ih0 + kh * d.dilation_h;
            const bool row_inside = ih >= 0 && ih < d.in_h;
            const float* line = row_inside ? x + (n * d.in_h + ih) * d.in_w * ld_in : zero;
            for (int64_t j = 0; j < columns; ++j) {
              const int64_t iw =
                  fixed ? iw0 + j : iw0 + j % outputs * d.stride_w + j / outputs * d.dilation_w;
              *o++ = row_inside && iw >= 0 && iw < d.in_w ? line + iw * ld_in : zero;
            }
          }
        }
        previous = inside ? outputs : -1;
        const int64_t pixel = row * d.out_w + ow;
        p.y = fast ? y + pixel * ld_out : tile;
        p.ldy = fast ? ld_out : d.in_c;
        p.residual = e.residual ? e.residual + pixel * ld_residual : nullptr;
        kernels[outputs](p);
        if (!fast) {
          FinishArgs f;
          f.src = tile;
          f.ld_src = d.in_c;
          f.dst = y + pixel * ld_out;
          f.ld_dst = ld_out;
          f.rows = outputs;
          f.cols = d.in_c;
          f.e = e;
          f.e.row_bias = nullptr;
          f.e.residual = p.residual;
          f.e.ld_residual = ld_residual;
          micro_table(d.isa).finish(f);
          if (e.callback) {
            for (int64_t i = 0; i < outputs; ++i) {
              e.callback(e.context, f.dst + i * ld_out, pixel + i, 0, d.in_c);
            }
          }
        }
        ow += outputs;
      }
    }
  });
}

}  // namespace tenon::cpu
