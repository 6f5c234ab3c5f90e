// TopK along one axis, and running sums and products.
#pragma once

#include <cstdint>

#include "base/dtype.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// From x [outer, n, inner] the k largest or smallest of n, best first; of equals the lower index comes first,
// NaN is above all numbers.
struct TopKDesc {
  DType type = DType::f32;
  bool largest = true;
  int64_t outer = 1, n = 1, inner = 1, k = 1;
};
bool top_k_holds(DType t);
int64_t top_k_scratch_bytes(const TopKDesc& desc, int threads);
// Either result may be null.
void top_k(ThreadPool& pool, const TopKDesc& desc, const void* x, void* values, int64_t* indices,
           void* scratch);

// Sums in double, or in the integer type, which wraps.
struct CumulativeDesc {
  DType type = DType::f32;
  bool product = false, exclusive = false, reverse = false;
  int64_t outer = 1, n = 1, inner = 1;
};
bool cumulative_holds(DType t);
void cumulative(ThreadPool& pool, const CumulativeDesc& desc, const void* x, void* y);

}  // namespace tenon::cpu
