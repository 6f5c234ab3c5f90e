// The driver under gemm and convolution: C = epilogue(A * B), A's rows found through pointers. Internal to
// this folder.
//
// A row of A is `taps` pieces of `depth` floats (a plain product has one tap); B is panels of nr columns,
// each [taps * depth][panel width], packed or read in place.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/micro.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

struct Igemm {
  const MicroTable* table = nullptr;
  int64_t m = 0, n = 0;
  int64_t taps = 1, depth = 0;

  // Writes the pointers of rows [m0, m0 + mr), taps [t0, t0 + nt) to out[(t - t0) * mr + i]. `patch` is the
  // worker's memory of patch_floats floats. Null: row i is a + i * lda (one tap).
  void (*rows)(const Igemm& g, int64_t m0, int mr, int64_t t0, int64_t nt, const float** out,
               float* patch) = nullptr;
  const void* rows_context = nullptr;
  int64_t patch_floats = 0;  // per worker
  const float* a = nullptr;
  int64_t lda = 0;

  const float* b = nullptr;
  int64_t b_stride = 0;  // 0: packed; else floats between the rows of B read in place
  const float* b_last =
      nullptr;  // with b_stride: a packed copy of the last panel when n is no multiple of the lanes

  float* c = nullptr;
  int64_t ldc = 0;
  // Row i is written to output row (i / inner) * outer_step + (i % inner) * inner_step when inner > 0, else
  // to row i.
  int64_t inner = 0, outer_step = 0, inner_step = 0;
  int64_t row0 = 0, col0 = 0;  // what the callback is told for the first row and column
  Epilogue e;
};

// The i-th of several products that run as one loop: the function adapts a copy of the first.
struct IgemmItems {
  int64_t count = 1;
  void (*select)(const void* context, int64_t i, Igemm* g) = nullptr;
  const void* context = nullptr;
};

int64_t igemm_packed_floats(Isa isa, int64_t k, int64_t n);
// Packs B [k, n]: element (k, n) is b[k * row_step + n * col_step].
void igemm_pack(Isa isa, int64_t k, int64_t n, const float* b, int64_t row_step, int64_t col_step,
                float* out);
// One panel of it; out holds k * panel width floats.
void igemm_pack_panel(const MicroTable& t, int64_t k, int64_t n, int64_t panel, const float* b,
                      int64_t row_step, int64_t col_step, float* out);

int64_t igemm_scratch_bytes(Isa isa, int64_t taps, int64_t patch_floats, int threads);
// g.e.ld_residual must be set. `scratch` is 64-byte aligned.
void igemm(const Igemm& g, const IgemmItems& items, void* scratch, ThreadPool& pool);
// All of one product on the calling thread, with the scratch of igemm_scratch_bytes(..., 1).
void igemm_serial(const Igemm& g, void* scratch);

inline int64_t align64(int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

}  // namespace tenon::cpu
