// What attention does to rows beside its products, as a table for each instruction set. Internal to this
// folder.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/attention.h"

namespace tenon::cpu {

// A row's softmax goes one block of keys further: scores become exponentials, and what the row has summed up
// so far fades.
struct SoftmaxStep {
  float* scores = nullptr;  // [n], in memory up to the next whole vector
  int64_t n = 0;
  int64_t begin = 0, end = 0;  // what the row may see of them
  AttentionMask kind = AttentionMask::none;
  const void* mask = nullptr;  // n elements
  float softcap = 0;
  float *top = nullptr, *sum = nullptr;  // of the row; -inf and 0 before the first step
  float* result = nullptr;  // of the row, to be scaled where the top has risen; null before the first step
  int64_t width = 0;        // of the result, whole vectors
};

struct AttentionRows {
  // y = x * factor. Returns whether one of them is a NaN or infinite.
  bool (*scale)(const float* x, int64_t n, float factor, float* y);
  void (*step)(const SoftmaxStep& s);
};

const AttentionRows& attention_rows(Isa isa);

}  // namespace tenon::cpu
