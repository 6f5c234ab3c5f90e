// Single-precision matrix multiplication C = epilogue(A * B), with B packed ahead (weights) or given per
// call.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/isa.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

constexpr int kGemmBatchRank = 4;

// C [m, n] = A [m, k] * B [k, n], for each element of the batch. All leading dimensions in floats; 0 means
// dense.
struct GemmDesc {
  Isa isa = Isa::baseline;
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;  // A is stored [k, m]
  bool transpose_b = false;  // B is stored [n, k]; for packed B this was settled when packing
  int64_t lda = 0, ldb = 0, ldc = 0;
  // Batch dimensions, outermost first; a stride of 0 repeats an operand. col_bias and row_bias serve every
  // element.
  int batch_rank = 0;
  int64_t batch[kGemmBatchRank] = {};
  int64_t batch_a[kGemmBatchRank] = {};  // floats
  int64_t batch_b[kGemmBatchRank] = {};  // floats; unused with packed B
  int64_t batch_c[kGemmBatchRank] = {};
  int64_t batch_residual[kGemmBatchRank] = {};
};

// Packed weights depend on isa, k and n alone. 64-byte aligned memory is best.
int64_t gemm_packed_bytes(Isa isa, int64_t k, int64_t n);
// ldb in floats, 0: dense. `transposed`: b is stored [n, k].
void gemm_pack(Isa isa, int64_t k, int64_t n, const float* b, int64_t ldb, bool transposed, float* packed);

// Scratch must be 64-byte aligned. `threads` is the pool's. Grows with m, n and k.
int64_t gemm_packed_scratch_bytes(const GemmDesc& desc, int threads);
int64_t gemm_scratch_bytes(const GemmDesc& desc, int threads);

void gemm_packed(const GemmDesc& desc, const float* a, const float* packed_b, float* c,
                 const Epilogue& epilogue, void* scratch, ThreadPool& pool);
// Both operands dynamic. Results are the same bits for any number of threads.
void gemm(const GemmDesc& desc, const float* a, const float* b, float* c, const Epilogue& epilogue,
          void* scratch, ThreadPool& pool);

}  // namespace tenon::cpu
