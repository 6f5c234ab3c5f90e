// Reductions over any axes: collapsed to passes of [outer, reduce, inner], each cut into pieces by shape alone so that
// the result is the same for any number of threads. ArgMax and ArgMin over one axis.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

enum class ReduceOp : uint8_t { sum, mean, max, min, prod, l1, l2, sum_square, log_sum, log_sum_exp };

struct ReduceDesc {
  ReduceOp op = ReduceOp::sum;
  DType type = DType::f32;     // of input and output: f32, f16, bf16 (both through f32), f64, i32, i64, u8, i8
  Shape shape;                 // of the input
  std::vector<int64_t> axes;   // each in [0, rank); none: nothing is reduced, but the op's map and finish still apply
};

class ReducePlan {
 public:
  // Errors: a type that the kernels do not hold.
  static Result<ReducePlan> make(const ReduceDesc& desc);

  size_t scratch_bytes() const { return scratch_bytes_; }
  // An empty reduction gives the neutral element: 0, 1, or the type's least or greatest value.
  void run(ThreadPool& pool, const void* x, void* y, void* scratch) const;

  // One pass reduces `reduce` elements that lie `inner` apart, in `chunks` pieces that a later pass joins.
  struct Pass {
    int64_t outer = 1, reduce = 1, chunks = 1, inner = 1;
    ReduceOp op = ReduceOp::sum;      // what this pass does to its input: sum, max, min, prod, l1, sum_square, log_sum_exp
    ReduceOp finish = ReduceOp::sum;  // mean, l2 and log_sum act at the end of the last pass
    double count = 1;                 // for mean
    bool from_wide = false, to_wide = false;  // reads or writes partial results (f32 for floats, i64, f64)
    size_t offset = 0;                        // of its result in scratch
  };

 private:
  std::vector<Pass> passes_;
  DType type_ = DType::f32;
  int64_t size_ = 0;
  size_t scratch_bytes_ = 0;
};

// y [outer, inner] i64 = place of the largest (or smallest) of n elements that lie `inner` apart. NaN counts as larger
// than all numbers.
struct ArgReduceDesc {
  bool max = true;
  bool last = false;  // of equal elements take the last
  DType type = DType::f32;
  int64_t outer = 1, n = 1, inner = 1;  // n >= 1
};
bool arg_reduce_holds(DType type);  // f32, f16, bf16, f64, i32, i64, u8, i8
void arg_reduce(ThreadPool& pool, const ArgReduceDesc& desc, const void* x, int64_t* y);

}  // namespace tenon::cpu
