// Softmax and LogSoftmax along one axis; along the last one also with a scale and an additive mask, as attention has it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// x, y [outer, n, inner]; y may be x.
struct SoftmaxDesc {
  DType type = DType::f32;  // f32, f16, bf16
  int64_t outer = 1, n = 1, inner = 1;
  bool log = false;
  // Only where inner == 1: the rows become x * scale + mask.
  float scale = 1;
  // Rows as an index space whose product is `outer`, with the mask's strides in elements: row (i, j, k) of x takes the
  // mask row at i * mask_strides[0] + j * mask_strides[1] + k * mask_strides[2], n adjacent elements of `type`.
  int64_t row_dims[3] = {1, 1, 1};
  int64_t mask_strides[3] = {0, 0, 0};
};
size_t softmax_scratch_bytes(const SoftmaxDesc& desc, int threads);
// `mask` may be null.
void softmax(ThreadPool& pool, const SoftmaxDesc& desc, const void* x, const void* mask, void* y, void* scratch);

}  // namespace tenon::cpu
