// Max and average pooling over one or two dims (1-D: h = 1), channels last or first. For global average pooling take
// ReducePlan's mean, which shares the work better.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

struct PoolDesc {
  bool max = true;
  bool count_include_pad = false;  // average: padding counts as zeros
  bool channels_last = true;
  DType type = DType::f32;         // f32, f16, bf16; max also u8, i8
  int64_t batch = 1, channels = 1, h = 1, w = 1;
  int64_t out_h = 1, out_w = 1;    // given, so that ceil_mode is the caller's; windows may reach past the padding
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int64_t ld_out = 0;              // elements between output pixels (0: channels); channels last only
};
bool pool_holds(const PoolDesc& desc);
size_t pool_scratch_bytes(const PoolDesc& desc, int threads);
// A window without any element gives the type's least value (max) or 0 (average).
void pool_2d(ThreadPool& pool, const PoolDesc& desc, const void* x, void* y, void* scratch);

}  // namespace tenon::cpu
