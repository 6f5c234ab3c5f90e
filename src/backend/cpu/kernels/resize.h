// Two-dimensional resizing by tables that the caller prepares: nearest (one source per output place) and linear (two
// sources and their weights).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// x [batch, h, w, channels] or [batch, channels, h, w]; y the same with out_h, out_w.
struct ResizeDesc {
  bool channels_last = true;
  DType type = DType::f32;  // nearest: any of 1, 2, 4 or 8 bytes; linear: f32, f16, bf16
  int64_t batch = 1, channels = 1, h = 1, w = 1, out_h = 1, out_w = 1;
  int64_t ld_out = 0;  // elements between output pixels (0: channels); channels last only
};
void resize_nearest(ThreadPool& pool, const ResizeDesc& desc, const int32_t* rows, const int32_t* columns, const void* x,
                    void* y);

// Output place i = source[2 i] * weight[2 i] + source[2 i + 1] * weight[2 i + 1], in each of the two dims.
struct ResizeLinearTables {
  const int32_t* rows;       // [out_h, 2]
  const float* row_weights;  // [out_h, 2]
  const int32_t* columns;    // [out_w, 2]
  const float* column_weights;
};
size_t resize_linear_scratch_bytes(const ResizeDesc& desc, int threads);
void resize_linear(ThreadPool& pool, const ResizeDesc& desc, const ResizeLinearTables& tables, const void* x, void* y,
                   void* scratch);

}  // namespace tenon::cpu
