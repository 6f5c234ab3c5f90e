// Single-precision convolution over up to three dimensions and transposed convolution over up to two, on channels-last
// data. 1-D is 2-D with height 1, 2-D is 3-D with depth 1.
#pragma once

#include <cstdint>
#include <string_view>

#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/isa.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// y [batch, out_d, out_h, out_w, out_c] from x [batch, in_d, in_h, in_w, in_c]. The caller has worked out the output's
// sizes (from end padding or auto_pad); every input position outside x reads 0.
struct ConvDesc {
  Isa isa = Isa::baseline;
  int64_t batch = 1;
  int64_t in_h = 1, in_w = 1, in_c = 1;
  int64_t out_h = 1, out_w = 1, out_c = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  // Three dimensions, of which this is the first; all kinds but gemm and igemm have two.
  bool volume = false;
  int64_t in_d = 1, out_d = 1, kernel_d = 1, stride_d = 1, dilation_d = 1, pad_front = 0;
  int64_t groups = 1;
  // Whether a kernel row is read as one run of memory (ConvKind::folded) where it can be; automatic: where channels are few.
  enum class Fold : uint8_t { automatic, no, yes } fold = Fold::automatic;
  bool nchw_input = false;  // x is [batch, in_c, in_h, in_w]; for the first layer of a network
  int64_t ld_in = 0;        // floats between input pixels (0: in_c); channels-last input only
  int64_t ld_out = 0;       // floats between output pixels (0: out_c)
};

enum class ConvKind : uint8_t { gemm, igemm, folded, nchw, depthwise, grouped };
// gemm: 1x1 without stride; igemm: row pointers per tap; folded: few channels, a kernel row is one run of
// memory; nchw: reads channels-first input; depthwise: one channel per group.
ConvKind conv_kind(const ConvDesc& desc);
std::string_view conv_kind_name(ConvKind kind);

// Packed weights depend on isa, in_c, out_c, kernel, groups and nchw_input; not on sizes, strides or
// dilations.
int64_t conv_packed_bytes(const ConvDesc& desc);
void conv_pack(const ConvDesc& desc, const float* weights,
               float* packed);  // weights [out_c, in_c / groups, kd, kh, kw]
int64_t conv_scratch_bytes(const ConvDesc& desc, int threads);
// The epilogue's columns are output channels, its rows output pixels; row_bias is not allowed.
// `scratch` is 64-byte aligned. The residual may be y itself.
void conv(const ConvDesc& desc, const float* x, const float* packed, float* y, const Epilogue& epilogue,
          void* scratch, ThreadPool& pool);

// Transposed convolution with the same description: x[ih, iw] adds to y[ih * stride_h - pad_top + kh *
// dilation_h, ...]. The caller has worked out out_h and out_w (output_padding, output_shape). nchw_input is
// not supported. Packed weights depend on isa, in_c, out_c, kernel, strides, dilations and groups.
int64_t conv_transpose_packed_bytes(const ConvDesc& desc);
void conv_transpose_pack(const ConvDesc& desc, const float* weights,
                         float* packed);  // [in_c, out_c / groups, kh, kw]
int64_t conv_transpose_scratch_bytes(const ConvDesc& desc, int threads);
void conv_transpose(const ConvDesc& desc, const float* x, const float* packed, float* y,
                    const Epilogue& epilogue, void* scratch, ThreadPool& pool);

}  // namespace tenon::cpu
