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

// Copies a box that starts at (c0, c1 ...), innermost coordinate first; what lies outside of the view becomes zero.
DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, int c0, int c1) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
                   shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1) : "memory");
}
DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, int c0, int c1, int c2) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(
                   shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2) : "memory");
}
DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(
                   shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}
DEVICE void bulk_load(void* to, const TensorMap* map, Barrier* b, int c0, int c1, int c2, int c3, int c4) {
  asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(
                   shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4) : "memory");
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
// The same for images of three dimensions.
DEVICE void bulk_load_im2col(void* to, const TensorMap* map, Barrier* b, int c, int w, int h, int d, int n, int off_w, int off_h, int off_d) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, %7}], [%2], {%8, %9, %10};" ::"r"(
          shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c), "r"(w), "r"(h), "r"(d), "r"(n), "h"((unsigned short)off_w),
      "h"((unsigned short)off_h), "h"((unsigned short)off_d) : "memory");
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
// A tile whose rows are 128 bytes along m or n, a row for each k, in the same swizzle; `block` bytes to the next 64 elements of
// m or n. 16 further in k is 128 more.
DEVICE unsigned long long column_descriptor(const void* tile, int block) {
  return (unsigned long long)((shared_address(tile) & 0x3FFFF) >> 4) | (unsigned long long)(block >> 4) << 16 | (1024ull >> 4) << 32 | 1ull << 62;
}
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int GROUPS>
DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(GROUPS) : "memory"); }

// d (+)= a b for 64 rows, twice as many columns as d has elements, and k = 16. With g = lane / 4 and t = lane % 4 of warp w,
// d[4 j] and d[4 j + 1] are row 16 w + g, columns 8 j + 2 t and the next; d[4 j + 2] and d[4 j + 3] the same of row
// 16 w + g + 8. Where `add` is false d is overwritten. COLUMNS: b is a column_descriptor.
#define TENON_T0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define TENON_T16 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TENON_T32 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define TENON_T48 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define TENON_T64 "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define TENON_T80 "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define TENON_T96 "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define TENON_T112 "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define TENON_D4(o) "+f"(d[o]), "+f"(d[o + 1]), "+f"(d[o + 2]), "+f"(d[o + 3])
#define TENON_D16(o) TENON_D4(o), TENON_D4(o + 4), TENON_D4(o + 8), TENON_D4(o + 12)
#define TENON_D32(o) TENON_D16(o), TENON_D16(o + 16)
#define TENON_D48 TENON_D32(0), TENON_D16(32)
#define TENON_D64 TENON_D32(0), TENON_D32(32)
#define TENON_D96 TENON_D64, TENON_D32(64)
#define TENON_D128 TENON_D96, TENON_D32(96)
#define TENON_WGMMA(name, type, n, count, names, operands, a_at, b_at, add_at, columns_at)                                \
  template <bool COLUMNS>                                                                                               \
  DEVICE void name(float (&d)[count], unsigned long long a, unsigned long long b, bool add) {                           \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" add_at ", 0;\n"                                                   \
                 "wgmma.mma_async.sync.aligned.m64n" n "k16.f32." type "." type " {" names "}, %" a_at ", %" b_at       \
                 ", p, 1, 1, 0, %" columns_at ";\n}"                                                                    \
                 : operands : "l"(a), "l"(b), "r"(int(add)), "n"(int(COLUMNS)));                                         \
  }
#define TENON_WGMMAS(name, type)                                                                                        \
  TENON_WGMMA(name, type, "32", 16, TENON_T0, TENON_D16(0), "16", "17", "18", "19")                                     \
  TENON_WGMMA(name, type, "64", 32, TENON_T0 ", " TENON_T16, TENON_D32(0), "32", "33", "34", "35")                      \
  TENON_WGMMA(name, type, "96", 48, TENON_T0 ", " TENON_T16 ", " TENON_T32, TENON_D48, "48", "49", "50", "51")           \
  TENON_WGMMA(name, type, "128", 64, TENON_T0 ", " TENON_T16 ", " TENON_T32 ", " TENON_T48, TENON_D64, "64", "65", "66", "67") \
  TENON_WGMMA(name, type, "192", 96, TENON_T0 ", " TENON_T16 ", " TENON_T32 ", " TENON_T48 ", " TENON_T64 ", " TENON_T80,  \
              TENON_D96, "96", "97", "98", "99")                                                                        \
  TENON_WGMMA(name, type, "256", 128, TENON_T0 ", " TENON_T16 ", " TENON_T32 ", " TENON_T48 ", " TENON_T64 ", " TENON_T80   \
              ", " TENON_T96 ", " TENON_T112, TENON_D128, "128", "129", "130", "131")
TENON_WGMMAS(wgmma_f16, "f16")
TENON_WGMMAS(wgmma_bf16, "bf16")
#undef TENON_WGMMA
#undef TENON_WGMMAS
