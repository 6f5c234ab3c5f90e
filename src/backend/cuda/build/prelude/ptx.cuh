// What only a GPU can do: every inline PTX and every CUDA builtin that generated kernels use, each as a small function.
// This text stands first in every source. The emulator of the tests puts a file of its own in its place, so base.cuh
// and the generated kernels are plain C++ over these names (and threadIdx, blockIdx, blockDim, gridDim, __shared__,
// __syncthreads).
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define HARDWARE_FP8 1
#else
#define HARDWARE_FP8 0
#endif

// ---- the kernel and its neighbours -------------------------------------------------------------------------------

// A kernel may start before the one in front of it is done. PDL_WAIT waits until that one has finished and its writes
// are seen: no global memory is touched before. PDL_LAUNCH lets the kernel behind start its own prologue; it stands
// after the wait, so that at most two kernels of a chain overlap.
DEVICE void pdl_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
DEVICE void pdl_launch() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#define PDL_WAIT pdl_wait()
#define PDL_LAUNCH pdl_launch()

// The dynamic shared memory that the launch asked for; 1024-byte aligned.
DEVICE unsigned char* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared_bytes[];
  return dynamic_shared_bytes;
}
// The address of shared memory as PTX instructions take it.
DEVICE unsigned shared_address(const void* p) { return unsigned(__cvta_generic_to_shared(p)); }

// Waits for `threads` threads (a multiple of 32) at barrier `id`, 1 to 15; barrier 0 is __syncthreads.
DEVICE void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Counts as having come, without waiting.
DEVICE void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Writes before it are seen by the whole device before writes after it.
DEVICE void device_fence() { __threadfence(); }
// Adds to a counter and gives its value before; only for counting, never for results that depend on the order.
DEVICE int atomic_add(int* counter, int n) { return atomicAdd(counter, n); }
// The larger of *p and v stays; gives the value before. In whatever order, the end is the same.
DEVICE int atomic_max(int* p, int v) { return atomicMax(p, v); }
// Sets bits; in whatever order, the end is the same.
DEVICE void atomic_or(unsigned* p, unsigned bits) { atomicOr(p, bits); }
// Reads past the first-level cache: what other blocks may have written during this kernel.
DEVICE int load_volatile(const int* p) { return *(const volatile int*)p; }

// ---- lanes of a warp; all 32 take part ---------------------------------------------------------------------------

template <class T>
DEVICE T shuffle_xor(T v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
template <class T>
DEVICE T shuffle_down(T v, int lanes) { return __shfl_down_sync(0xffffffffu, v, lanes); }
template <class T>
DEVICE T shuffle_up(T v, int lanes) { return __shfl_up_sync(0xffffffffu, v, lanes); }
template <class T>
DEVICE T shuffle(T v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
DEVICE unsigned ballot(bool v) { return __ballot_sync(0xffffffffu, v); }
DEVICE void warp_sync() { __syncwarp(); }

// ---- bits and numbers --------------------------------------------------------------------------------------------

DEVICE unsigned float_bits(float v) { return __float_as_uint(v); }
DEVICE float float_from_bits(unsigned v) { return __uint_as_float(v); }
DEVICE unsigned long long double_bits(double v) { return (unsigned long long)__double_as_longlong(v); }
DEVICE double double_from_bits(unsigned long long v) { return __longlong_as_double((long long)v); }
DEVICE int count_bits(unsigned v) { return __popc(v); }
DEVICE int leading_zeros(unsigned v) { return __clz((int)v); }
DEVICE unsigned multiply_high(unsigned a, unsigned b) { return __umulhi(a, b); }

// NaN if either side is; minimum and maximum else.
DEVICE float min_nan(float a, float b) {
  float r;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
DEVICE float max_nan(float a, float b) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
// One rounding, whatever the compiler's options say.
DEVICE float fused_multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE double rounded_product(double a, double b) { return __dmul_rn(a, b); }

// Approximations: a relative error of about 2^-22 (tanh: 2^-11); subnormal numbers count as zero.
DEVICE float fast_exp2(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
DEVICE float fast_log2(float v) {
  float r;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
DEVICE float fast_reciprocal(float v) {
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
DEVICE float fast_rsqrt(float v) {
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
DEVICE float fast_tanh(float v) {
  float r;
  asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
// c plus the four products of the signed (unsigned) bytes of a and b.
DEVICE int dot4_s8(int a, int b, int c) { return __dp4a(a, b, c); }
DEVICE unsigned dot4_u8(unsigned a, unsigned b, unsigned c) { return __dp4a(a, b, c); }

// ---- narrow floats, as bits; rounding is to nearest even -----------------------------------------------------------

DEVICE unsigned short float_to_f16(float v) {
  unsigned short r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v));
  return r;
}
DEVICE float f16_to_float(unsigned short v) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v));
  return r;
}
DEVICE unsigned short float_to_bf16(float v) {
  unsigned short r;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(v));
  return r;
}
DEVICE float bf16_to_float(unsigned short v) { return __uint_as_float(unsigned(v) << 16); }
// Two at a time; `low` comes first in memory.
DEVICE unsigned pack_f16(float low, float high) {
  unsigned r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
DEVICE unsigned pack_bf16(float low, float high) {
  unsigned r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
#if HARDWARE_FP8
// Values beyond the largest become the largest.
DEVICE unsigned char float_to_e4m3_saturated(float v) {
  unsigned short r;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(0.f), "f"(v));
  return (unsigned char)r;
}
DEVICE unsigned char float_to_e5m2_saturated(float v) {
  unsigned short r;
  asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(0.f), "f"(v));
  return (unsigned char)r;
}
DEVICE float e4m3_to_float(unsigned char v) {
  unsigned r;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"((unsigned short)v));
  return f16_to_float((unsigned short)r);
}
DEVICE float e5m2_to_float(unsigned char v) { return f16_to_float((unsigned short)(v << 8)); }
#endif

// ---- asynchronous copies from global to shared memory ---------------------------------------------------------------

// Copies BYTES (4, 8 or 16, both addresses aligned to them), or writes zeros and reads nothing where `valid` is false.
template <int BYTES>
DEVICE void copy_async(void* shared, const void* global, bool valid = true) {
  const unsigned to = shared_address(shared);
  const int bytes = valid ? BYTES : 0;
  if constexpr (BYTES == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(BYTES), "r"(bytes) : "memory");
}
DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most GROUPS of this thread's committed groups are under way.
template <int GROUPS>
DEVICE void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory"); }

// ---- matrix products of a warp ---------------------------------------------------------------------------------------

// Loads 8x8 matrices of 16-bit elements; lane 8*i + j gives the address of row j of matrix i (16 bytes in shared memory).
DEVICE void load_matrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
DEVICE void load_matrix_x2(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}
DEVICE void load_matrix_x4_transposed(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
DEVICE void load_matrix_x2_transposed(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}

// d += a b. With g = lane / 4 and t = lane % 4, d[0..1] are row g, columns 2t and 2t+1; d[2..3] the same of row g + 8.
// a and b hold pairs (16-bit), quadruples (8-bit) or single values (tf32) of neighbours in k, p to a register:
//   a[0] row g, k = p*t;  a[1] row g + 8;  a[2], a[3] the same 4p further in k;  b[0] column g, k = p*t;  b[1] 4p further
// (tf32: a and b are bits of float; 4 further in k.)
#define TENON_MMA(name, shape_and_types)                                                                          \
  DEVICE void name(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {                               \
    asm volatile("mma.sync.aligned." shape_and_types " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                 \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                             \
  }
TENON_MMA(mma_f16, "m16n8k16.row.col.f32.f16.f16.f32")
TENON_MMA(mma_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
TENON_MMA(mma_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
#if HARDWARE_FP8
TENON_MMA(mma_e4m3, "m16n8k32.row.col.f32.e4m3.e4m3.f32")
TENON_MMA(mma_e5m2, "m16n8k32.row.col.f32.e5m2.e5m2.f32")
#endif
#undef TENON_MMA
#define TENON_MMA(name, types)                                                                                    \
  DEVICE void name(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {                                 \
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32." types                                                   \
                 ".s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                           \
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                                 \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                             \
  }
TENON_MMA(mma_s8, "s8.s8")
TENON_MMA(mma_u8, "u8.u8")
TENON_MMA(mma_u8_s8, "u8.s8")
TENON_MMA(mma_s8_u8, "s8.u8")
#undef TENON_MMA

// The nearest tf32 (ties away from zero), as mma_tf32 takes it.
DEVICE unsigned float_to_tf32(float v) {
  unsigned r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
  return r;
}
