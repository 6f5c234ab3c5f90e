// Moving data without arithmetic: strided copies (slice, expand, tile, concat, split), padding, gathering rows.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// y[i · out_strides] = x[i · in_strides] for every index i of `shape`; strides in elements, those of x may be 0 or
// negative. The pointers name the element of index 0. Slice: scaled strides; expand and tile: strides of 0; concat and
// split: one copy for each part, with the whole's strides.
class CopyPlan {
 public:
  // Errors: an element size other than 1, 2, 4, 8, 16.
  static Result<CopyPlan> make(int element_bytes, const Shape& shape, const Shape& in_strides, const Shape& out_strides);
  void run(ThreadPool& pool, const void* x, void* y) const;

 private:
  int bytes_ = 4;
  Shape outer_, outer_in_, outer_out_;  // strides in bytes
  int64_t inner_ = 1, inner_in_ = 1, inner_out_ = 1;  // elements, strides in elements
  int64_t rows_ = 0;
};

enum class PadMode : uint8_t { constant, edge, reflect, wrap };

class PadPlan {
 public:
  // y has dims begin[d] + shape[d] + end[d]; negative pads crop (constant mode only). reflect needs dims > 1 where it
  // pads by more than 0.
  static Result<PadPlan> make(PadMode mode, int element_bytes, const Shape& shape, const Shape& begin, const Shape& end);
  // `value`: one element; used in constant mode.
  void run(ThreadPool& pool, const void* x, const void* value, void* y) const;

 private:
  int bytes_ = 4;
  Shape out_;                                  // collapsed output dims
  std::vector<std::vector<int64_t>> from_;     // per dim: input offset in elements of each output place, -1: the value
  int64_t row_begin_ = 0, row_count_ = 0, row_from_ = 0;  // in the last dim: places that copy adjacent elements
  int64_t rows_ = 0;
};

// y [outer, count, inner] = x [outer, axis, inner] at indices [count]; negative indices count from the end.
struct GatherDesc {
  int element_bytes = 4;
  DType index_type = DType::i64;  // i32, i64
  int64_t outer = 1, axis = 1, inner = 1, count = 1;
};
// Errors: an index outside [-axis, axis).
Status gather(ThreadPool& pool, const GatherDesc& desc, const void* x, const void* indices, void* y);

}  // namespace tenon::cpu
