// Transposes: any permutation of elements of 1, 2, 4 or 8 bytes, through tiles that stay in registers.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

class TransposePlan {
 public:
  // y[i_perm[0], …] = x[i_0, …]: output dim d is input dim perm[d]. Errors: another element size.
  static Result<TransposePlan> make(int element_bytes, const Shape& shape, const std::vector<int64_t>& perm);
  void run(ThreadPool& pool, const void* x, void* y) const;

 private:
  enum class Way : uint8_t { copy, rows, tiles };
  Way way_ = Way::copy;
  int bytes_ = 4;                 // of an element, after runs of small elements were joined to larger ones
  int64_t size_ = 0;              // bytes in all
  // Outer dims in output order, with strides in elements of input and output.
  Shape outer_, outer_in_, outer_out_;
  int64_t row_ = 0;               // rows: adjacent bytes copied at a time
  // tiles: y[c * out_stride_ + r] = x[r * in_stride_ + c] for r < height_, c < width_.
  int64_t height_ = 0, width_ = 0, in_stride_ = 0, out_stride_ = 0;
};

}  // namespace tenon::cpu
