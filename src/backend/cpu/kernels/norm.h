// Normalisations: layer and RMS norm over rows, group and instance norm over channels-first data, and the affine map
// per channel that an inference batch norm is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// x, y [rows, n]; y may be x. y = (x - mean) / sqrt(variance + epsilon) * scale + bias; rms: mean taken as 0.
struct LayerNormDesc {
  DType type = DType::f32;        // of x, residual, y and sum: f32, f16, bf16
  DType param_type = DType::f32;  // of scale and bias
  int64_t rows = 0, n = 1;
  float epsilon = 1e-5f;
  bool rms = false;
};
struct LayerNormArgs {
  const void* x = nullptr;
  const void* residual = nullptr;  // [rows, n], added to x first; may be null
  const void* scale = nullptr;     // [n]; null: 1
  const void* bias = nullptr;      // [n]; null: 0
  void* y = nullptr;
  void* sum = nullptr;             // x + residual, [rows, n]; may be null
  float* mean = nullptr;           // [rows]; may be null
  float* inv_std = nullptr;        // [rows]; may be null
};
size_t layer_norm_scratch_bytes(const LayerNormDesc& desc, int threads);
void layer_norm(ThreadPool& pool, const LayerNormDesc& desc, const LayerNormArgs& args, void* scratch);

// x, y [batch, channels, inner]; y may be x. Statistics over channels / groups channels at a time; instance norm has as
// many groups as channels. scale, bias [channels], of `type`; null: 1 and 0.
struct GroupNormDesc {
  DType type = DType::f32;  // f32, f16, bf16
  int64_t batch = 1, channels = 1, inner = 1, groups = 1;
  float epsilon = 1e-5f;
};
void group_norm(ThreadPool& pool, const GroupNormDesc& desc, const void* x, const void* scale, const void* bias, void* y);

// y = x * scale[c] + bias[c], x [outer, channels, inner] (inner 1: channels last). scale, bias: f32.
struct ChannelAffineDesc {
  DType type = DType::f32;  // f32, f16, bf16
  int64_t outer = 1, channels = 1, inner = 1;
};
void channel_affine(ThreadPool& pool, const ChannelAffineDesc& desc, const void* x, const float* scale, const float* bias,
                    void* y);

}  // namespace tenon::cpu
