// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear between f32 and integers of up to 32 bits.
#pragma once

#include <cstdint>

#include "base/dtype.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// x [outer, size, inner]; scale and zero point are one number (size 1) or one for each index of `size`.
struct QuantizeDesc {
  DType type = DType::u8;  // of the integers
  int64_t outer = 1, size = 1, inner = 1;
};
bool quantize_holds(DType t);    // u8, i8, u16, i16
bool dequantize_holds(DType t);  // and i32
// `zero` is of the integers' type; null: 0.
void quantize_linear(ThreadPool& pool, const QuantizeDesc& desc, const float* x, const float* scale,
                     const void* zero, void* y);
void dequantize_linear(ThreadPool& pool, const QuantizeDesc& desc, const void* x, const float* scale,
                       const void* zero, float* y);

// The least and greatest of x and 0; NaN does not count.
struct Range {
  float low = 0, high = 0;
};
// `scratch` holds a Range for each thread.
Range range_with_zero(ThreadPool& pool, const float* x, int64_t n, Range* scratch);

}  // namespace tenon::cpu
