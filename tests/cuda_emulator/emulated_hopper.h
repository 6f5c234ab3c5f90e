// Stands in front of generated kernels in the place of src/backend/cuda/build/prelude/hopper.cuh: the same names, for the
// host's compiler. Copies are done when they are asked for; products too, each lane computing its own results from shared
// memory. One block to a cluster.
#pragma once
#include "emulated_ptx.h"
#include "tensor_map.h"

struct alignas(64) TensorMap {
  unsigned char bytes[128];
};
DEVICE const EmuTensorMap& emu_map(const TensorMap* map) { return *(const EmuTensorMap*)map->bytes; }
DEVICE void prefetch_map(const TensorMap*) {}

// ---- barriers ----

using Barrier = unsigned long long;
struct EmuBarrier {
  int bytes;              // announced and not yet here
  short missing;          // arrivals
  unsigned char count, parity;  // of the phase under way
};
static_assert(sizeof(EmuBarrier) == sizeof(Barrier), "");
DEVICE EmuBarrier& emu_barrier_at(Barrier* b) { return *(EmuBarrier*)b; }
DEVICE void emu_barrier_moves(Barrier* b, int arrivals, int bytes) {
  EmuBarrier& e = emu_barrier_at(b);
  e.missing = short(e.missing - arrivals);
  e.bytes += bytes;
  if (e.missing == 0 && e.bytes == 0) {
    e.parity ^= 1;
    e.missing = e.count;
  }
  emu_memory_changes();
}
DEVICE void barrier_init(Barrier* b, int count) { emu_barrier_at(b) = EmuBarrier{0, short(count), (unsigned char)count, 0}; }
DEVICE void barrier_init_done() {}
DEVICE void barrier_expect(Barrier* b, int bytes) { emu_barrier_moves(b, 1, bytes); }
DEVICE void barrier_arrive(Barrier* b) { emu_barrier_moves(b, 1, 0); }
DEVICE void barrier_wait(Barrier* b, int parity, EMU_SITE) {
  // What is not there after so many turns of all others never comes.
  for (int turns = 0; *(volatile unsigned char*)&emu_barrier_at(b).parity == parity; ++turns) {
    if (turns == 1 << 20) emu_fail("waits for ever at a transaction barrier", file, line);
    emu_yield();
  }
  emu_memory_changes();
}

// ---- shared memory as the copy engine and the products see it: rows of 128 bytes, their chunks of 16 swizzled ----

DEVICE unsigned emu_offset(const void* shared) { return unsigned((const unsigned char*)shared - dynamic_shared()); }
DEVICE unsigned short* emu_swizzled(unsigned offset) { return (unsigned short*)(dynamic_shared() + (offset ^ (offset >> 7 & 7) << 4)); }

// ---- the copy engine ----

DEVICE void emu_copied(void* to, const EmuTensorMap& m, int elements, Barrier* b, const char* file, int line) {
  if (emu_offset(to) % 1024 || m.swizzle != 128 || m.element_bytes != 2)
    emu_fail("only copies of 16-bit elements to multiples of 1024 bytes, swizzled by 128 bytes, are emulated", file, line);
  emu_barrier_moves(b, 0, -2 * elements);
}
DEVICE void emu_bulk_load(void* to, const TensorMap* map, Barrier* b, const int* c, int rank, const char* file, int line) {
  const EmuTensorMap& m = emu_map(map);
  if (m.rank != rank || m.im2col) emu_fail("the tensor map has another rank than the copy", file, line);
  int n = 1;
  for (int d = 0; d < rank; ++d) n *= m.box[d];
  for (int i = 0; i < n; ++i) {
    int rest = i;
    bool inside = true;
    long long at = 0;
    for (int d = 0; d < rank; ++d) {
      const int x = c[d] + rest % m.box[d];
      rest /= m.box[d];
      inside = inside && x >= 0 && unsigned(x) < m.dims[d];
      at += (long long)x * (d ? (long long)m.strides[d - 1] : m.element_bytes);
    }
    *emu_swizzled(emu_offset(to) + 2 * i) = inside ? *(const unsigned short*)(m.base + at) : 0;
  }
  emu_copied(to, m, n, b, file, line);
}
#define EMU_BULK_LOAD(rank, coordinates, names)                                                              \
  DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, EMU_LIST coordinates, EMU_SITE) {       \
    const int c[] = {EMU_LIST names};                                                                        \
    emu_bulk_load(to, map, b, c, rank, file, line);                                                          \
  }
#define EMU_LIST(...) __VA_ARGS__
EMU_BULK_LOAD(2, (int c0, int c1), (c0, c1))
EMU_BULK_LOAD(3, (int c0, int c1, int c2), (c0, c1, c2))
EMU_BULK_LOAD(4, (int c0, int c1, int c2, int c3), (c0, c1, c2, c3))
EMU_BULK_LOAD(5, (int c0, int c1, int c2, int c3, int c4), (c0, c1, c2, c3, c4))
DEVICE void bulk_load_to_all(void* to, const TensorMap* map, Barrier* b, unsigned short, int c0, int c1, int c2, EMU_SITE) {
  bulk_load(to, map, b, c0, c1, c2, file, line);
}

// x: the base pixel, which walks through its box; t: how far from it the pixel is.
DEVICE void emu_im2col(void* to, const TensorMap* map, Barrier* b, int c, int* x, int n, const int* t, int spatial, const char* file, int line) {
  const EmuTensorMap& m = emu_map(map);
  if (m.rank != spatial + 2 || !m.im2col) emu_fail("the tensor map is not one of windows of this rank", file, line);
  const int channels = m.box[0], pixels = m.box[1];
  for (int i = 0; i < pixels; ++i) {
    bool inside = n >= 0 && unsigned(n) < m.dims[m.rank - 1];
    long long at = (long long)n * (long long)m.strides[m.rank - 2];
    for (int d = 0; d < spatial; ++d) {
      const int y = x[d] + t[d];
      inside = inside && y >= 0 && unsigned(y) < m.dims[d + 1];
      at += (long long)y * (long long)m.strides[d];
    }
    for (int j = 0; j < channels; ++j)
      *emu_swizzled(emu_offset(to) + i * 128 + 2 * j) =
          inside && unsigned(c + j) < m.dims[0] ? *(const unsigned short*)(m.base + at + (long long)(c + j) * 2) : 0;
    int d = 0;
    for (; d < spatial; ++d) {
      x[d] += m.steps[d + 1];
      if (x[d] <= int(m.dims[d + 1]) - 1 + m.upper[d]) break;
      x[d] = m.lower[d];
    }
    if (d == spatial) ++n;
  }
  emu_copied(to, m, channels * pixels, b, file, line);
}
DEVICE void bulk_load_im2col(void* to, const TensorMap* map, Barrier* b, int c, int w, int h, int n, int off_w, int off_h, EMU_SITE) {
  int x[] = {w, h};
  const int t[] = {off_w, off_h};
  emu_im2col(to, map, b, c, x, n, t, 2, file, line);
}
DEVICE void bulk_load_im2col(void* to, const TensorMap* map, Barrier* b, int c, int w, int h, int d, int n, int off_w, int off_h, int off_d, EMU_SITE) {
  int x[] = {w, h, d};
  const int t[] = {off_w, off_h, off_d};
  emu_im2col(to, map, b, c, x, n, t, 3, file, line);
}

// ---- clusters of one block ----

DEVICE int cluster_rank() { return 0; }
DEVICE void cluster_sync(EMU_SITE) { __syncthreads(file, line); }
DEVICE void barrier_arrive_at(Barrier* b, int) { barrier_arrive(b); }

// ---- registers ----

template <int COUNT>
DEVICE void take_registers() {}
template <int COUNT>
DEVICE void give_registers() {}

// ---- products of a warpgroup ----

DEVICE unsigned long long matrix_descriptor(const void* tile) { return emu_offset(tile) >> 4 | 1ull << 16 | 64ull << 32; }
DEVICE unsigned long long column_descriptor(const void* tile, int block) {
  return emu_offset(tile) >> 4 | (unsigned long long)(block >> 4) << 16 | 64ull << 32;
}
// The lanes of a warp go through these together.
DEVICE void wgmma_fence(EMU_SITE) { warp_sync(file, line); }
DEVICE void wgmma_commit() {}
template <int GROUPS>
DEVICE void wgmma_wait(EMU_SITE) { warp_sync(file, line); }

// Element (row, k) of a tile whose rows lie along k; element (k, column) of one whose lines lie along the columns.
DEVICE unsigned short emu_row_element(unsigned long long tile, int row, int k) {
  return *emu_swizzled((unsigned(tile & 0x3fff) << 4) + unsigned(row * 128 + k * 2));
}
DEVICE unsigned short emu_column_element(unsigned long long tile, int column, int k) {
  const unsigned block = unsigned(tile >> 16 & 0x3fff) << 4, lines = unsigned(tile >> 32 & 0x3fff) << 4;
  return *emu_swizzled((unsigned(tile & 0x3fff) << 4) + unsigned(column / 64) * block + unsigned(k / 8) * lines + unsigned(k % 8 * 128 + column % 64 * 2));
}
template <bool COLUMNS, int N, class F>
DEVICE void emu_wgmma(float (&d)[N], unsigned long long a, unsigned long long b, bool add, F number) {
  const int row = 16 * int(emu_thread->number / 32 % 4) + emu_lane() / 4;
  float rows[2][16], column[16];
  for (int k = 0; k < 16; ++k)
    for (int r = 0; r < 2; ++r) rows[r][k] = number(emu_row_element(a, row + 8 * r, k));
  for (int i = 0; i < N; i += 4)
    for (int j = 0; j < 2; ++j) {
      const int c = i * 2 + emu_lane() % 4 * 2 + j;
      for (int k = 0; k < 16; ++k) column[k] = number(COLUMNS ? emu_column_element(b, c, k) : emu_row_element(b, c, k));
      for (int r = 0; r < 2; ++r) {
        float sum = add ? d[i + 2 * r + j] : 0.f;
        for (int k = 0; k < 16; ++k) sum += rows[r][k] * column[k];
        d[i + 2 * r + j] = sum;
      }
    }
}
template <bool COLUMNS, int N>
DEVICE void wgmma_f16(float (&d)[N], unsigned long long a, unsigned long long b, bool add) { emu_wgmma<COLUMNS>(d, a, b, add, f16_to_float); }
template <bool COLUMNS, int N>
DEVICE void wgmma_bf16(float (&d)[N], unsigned long long a, unsigned long long b, bool add) { emu_wgmma<COLUMNS>(d, a, b, add, bf16_to_float); }
