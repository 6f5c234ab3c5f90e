// y = a W^T + bias, where W [n, k] is stored in blocks along k of 2, 4 or 8 bits an element with a scale (and
// a zero point) each. A block of W's rows is widened to floats, used for all rows of a, and forgotten.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/isa.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

struct NBitsDesc {
  Isa isa = Isa::baseline;
  int64_t m = 0, n = 0, k = 0;
  int64_t bits = 4, block = 32;

  int64_t blocks() const { return (k + block - 1) / block; }
  int64_t zero_row() const { return (blocks() * bits + 7) / 8; }  // bytes of packed zero points for a row
};
struct NBitsArgs {
  const float* a = nullptr;
  const uint8_t* w = nullptr;             // [n, blocks, block * bits / 8]
  const float* scales = nullptr;          // [n, blocks]
  const uint8_t* packed_zeros = nullptr;  // [n, zero_row], or
  const float* zeros = nullptr;           // [n, blocks]; neither: 2^(bits - 1)
  const float* bias = nullptr;            // [n], may be null
  float* y = nullptr;
};
int64_t nbits_scratch_bytes(const NBitsDesc& desc, int threads);
void nbits_matmul(ThreadPool& pool, const NBitsDesc& desc, const NBitsArgs& args, void* scratch);

}  // namespace tenon::cpu
