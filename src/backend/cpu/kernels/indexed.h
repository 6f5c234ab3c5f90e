// Elements by index tensors: GatherND, GatherElements, ScatterND, ScatterElements; the places of what is not
// zero. Indices count from the end where negative; one out of range is an error.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "base/tensor.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

enum class Combine : uint8_t { none, add, mul, max, min };
// Whether scatter has code for this type.
bool combine_holds(Combine c, DType t);

// Tuples of `sizes.size()` indices, each naming `slice` elements that lie together. batches > 1 (gather
// alone): tuples and data divide into as many equal parts.
struct TupleDesc {
  DType type = DType::f32;
  Combine combine = Combine::none;
  Shape sizes, strides;  // the indexed dimensions, strides in elements
  int64_t batches = 1, tuples = 0, slice = 1;
  int64_t area = 0;  // elements of a batch's data
};
Status gather_nd(ThreadPool& pool, const TupleDesc& desc, const void* x, const int64_t* indices, void* y);
// y holds the data already; updates apply in their order.
Status scatter_nd(ThreadPool& pool, const TupleDesc& desc, const int64_t* indices, const void* updates,
                  void* y);

// One index an element, along `axis` of the data; the other coordinates are the index's own.
struct ElementsDesc {
  DType type = DType::f32, index_type = DType::i64;
  Combine combine = Combine::none;
  Shape data, indices;
  int64_t axis = 0;
};
Status gather_elements(ThreadPool& pool, const ElementsDesc& desc, const void* x, const void* indices,
                       void* y);
Status scatter_elements(ThreadPool& pool, const ElementsDesc& desc, const void* indices, const void* updates,
                        void* y);

// Types of whole bytes. A negative zero is zero, NaN is not.
bool nonzero_holds(DType t);
int64_t count_nonzero(DType t, const void* x, int64_t n);
// y [rank, count], the coordinates of each place in row-major order; `count` is count_nonzero's.
void find_nonzero(DType t, const Shape& shape, const void* x, int64_t count, int64_t* y);

// y = x, on all threads.
void copy_bytes(ThreadPool& pool, const void* x, void* y, int64_t bytes);

}  // namespace tenon::cpu
