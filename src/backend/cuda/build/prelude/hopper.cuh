// What Hopper adds (sm_90a): barriers that count bytes, bulk tensor copies, products of a group of four warps, clusters.
// Sources: the PTX ISA, sections on mbarrier, cp.async.bulk.tensor, wgmma, and on the layout of shared memory for them.

// A view of memory that the copy engine reads or writes, made by the driver; a kernel parameter:
// `const __grid_constant__ TensorMap map`.
struct __align__(64) TensorMap {
  unsigned char bytes[128];
};
DEVICE void prefetch_map(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// ---- barriers in shared memory -----------------------------------------------------------------------------------

using Barrier = unsigned long long;

// `count` arrivals (and the bytes that were announced) complete a phase.
DEVICE void barrier_init(Barrier* b, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}
// After all inits: seen by the cluster and by the copy engine.
DEVICE void barrier_init_done() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// Arrives, and announces bytes that the copy engine will bring.
DEVICE void barrier_expect(Barrier* b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes) : "memory");
}
// Arrives at the barrier in the same place of block `rank` of the cluster.
DEVICE void barrier_arrive_at(Barrier* b, int rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(b)), "r"(rank) : "memory");
}
DEVICE void barrier_arrive(Barrier* b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}
// Waits until the phase of this parity is complete; a fresh barrier counts as having completed parity 1.
DEVICE void barrier_wait(Barrier* b, int parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@done bra.uni out;\nbra.uni again;\nout:\n}" ::"r"(shared_address(b)),
      "r"(parity) : "memory");
}

// ---- the copy engine ---------------------------------------------------------------------------------------------

// Copies a box that starts at (c0, c1[, c2]), innermost coordinate first; what lies outside of the view becomes zero.
DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, int c0, int c1) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
                   shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1) : "memory");
}
DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, int c0, int c1, int c2) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(
                   shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2) : "memory");
}
// The same into every block of the cluster whose bit is set in `mask`, at the same place; each block's own barrier counts
// the bytes.
DEVICE void bulk_load_to_all(void* to, const TensorMap* map, Barrier* b, unsigned short mask, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%4, %5, %6}], [%2], %3;" ::"r"(
          shared_address(to)), "l"(map), "r"(shared_address(b)), "h"(mask), "r"(c0), "r"(c1), "r"(c2) : "memory");
}
// Rows for a convolution: pixels from (n, h, w) on, in the order of the map's box of base pixels, each moved by the
// offsets of a tap.
DEVICE void bulk_load_im2col(void* to, const TensorMap* map, Barrier* b, int c, int w, int h, int n, int off_w, int off_h) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(
          shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c), "r"(w), "r"(h), "r"(n), "h"((unsigned short)off_w),
      "h"((unsigned short)off_h) : "memory");
}

// ---- clusters ----------------------------------------------------------------------------------------------------

DEVICE int cluster_rank() {
  int rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// All threads of all blocks of the cluster.
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// ---- registers ---------------------------------------------------------------------------------------------------

template <int COUNT>
DEVICE void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT)); }
template <int COUNT>
DEVICE void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT)); }

// ---- products of a warpgroup -------------------------------------------------------------------------------------

// Describes a tile whose rows are 128 bytes of k, in the 128-byte swizzle that the copy engine wrote: 8 rows are 1024 bytes.
// 32 bytes further in k is two more, 8 rows further 64 more.
DEVICE unsigned long long matrix_descriptor(const void* tile) {
  return (unsigned long long)((shared_address(tile) & 0x3FFFF) >> 4) | 1ull << 16 | (1024ull >> 4) << 32 | 1ull << 62;
}
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int GROUPS>
DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(GROUPS) : "memory"); }
