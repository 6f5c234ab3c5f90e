// The per-ISA kernels behind depthwise convolution. Internal to this folder.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/isa.h"

namespace tenon::cpu {

constexpr int kMaxDepthwiseOutputs = 4;  // neighbouring outputs of one call

// y[i, c] = sum over rows r, columns j of x[r * columns + i * stride + j][c] * w[r * kernel_w + j, c], all
// channels. The kernel for any size takes one pointer per tap and output instead: x[tap * outputs + i].
struct DepthwiseArgs {
  const float* const* x;
  int64_t kernel_h, taps;
  int64_t channels;
  const float* w;  // [taps][ldw], ldw a multiple of the lanes
  int64_t ldw;
  int64_t group;  // channels of a group, for the grouped kernel: w is [taps][group][ldw], by position in the
                  // group
  float* y;
  int64_t ldy;
  bool finish;  // apply the in-register epilogue
  bool clamp_lo, clamp_hi, residual_after;
  float alpha, beta, lo, hi;
  const float* bias;
  const float* residual;
  int64_t ld_residual;
};
using DepthwiseFn = void (*)(const DepthwiseArgs&);

struct DepthwiseTable {
  int lanes;
  DepthwiseFn k3s1[kMaxDepthwiseOutputs + 1];  // by number of outputs
  DepthwiseFn k3s2[kMaxDepthwiseOutputs + 1];
  DepthwiseFn k5s1[kMaxDepthwiseOutputs + 1];
  DepthwiseFn k5s2[kMaxDepthwiseOutputs + 1];
  DepthwiseFn any[kMaxDepthwiseOutputs + 1];
  DepthwiseFn grouped[kMaxDepthwiseOutputs + 1];
};

const DepthwiseTable& depthwise_table(Isa isa);

}  // namespace tenon::cpu
