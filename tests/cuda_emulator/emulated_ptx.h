// Stands in front of generated kernels in the place of src/backend/cuda/build/prelude/ptx.cuh: the same names, for the
// host's compiler. What needs other threads or is long is in the emulator (abi.h); this is compiled with every kernel,
// so it is kept small.
#pragma once
#include "abi.h"

#define __global__
#define __device__
#define __shared__ thread_local  // each host thread runs one block at a time
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#define DEVICE inline
#define UNROLL
#define HARDWARE_FP8 1

#define threadIdx (emu_thread->index)
#define blockIdx (emu_block->index)
#define blockDim (emu_block->size)
#define gridDim (emu_block->grid)

// Where a call stands, for messages.
#define EMU_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

DEVICE void emu_memory_changes() { asm volatile("" ::: "memory"); }

DEVICE void __syncthreads(EMU_SITE) {
  emu_barrier(0, 0, true, false, file, line);
  emu_memory_changes();
}
DEVICE int __syncthreads_count(int vote, EMU_SITE) { return emu_barrier(0, 0, true, vote != 0, file, line); }
DEVICE int __syncthreads_or(int vote, EMU_SITE) { return emu_barrier(0, 0, true, vote != 0, file, line) != 0; }
DEVICE int __syncthreads_and(int vote, EMU_SITE) { return emu_barrier(0, 0, true, vote == 0, file, line) == 0; }

// ---- the kernel and its neighbours ----

DEVICE void pdl_wait() { emu_block->waited = true; }
DEVICE void pdl_launch() {}
#define PDL_WAIT pdl_wait()
#define PDL_LAUNCH pdl_launch()
DEVICE unsigned char* dynamic_shared() { return (unsigned char*)emu_block->shared; }
DEVICE void named_barrier_sync(int id, int threads, EMU_SITE) {
  emu_barrier(id, threads, true, false, file, line);
  emu_memory_changes();
}
DEVICE void named_barrier_arrive(int id, int threads, EMU_SITE) {
  emu_barrier(id, threads, false, false, file, line);
  emu_memory_changes();
}
DEVICE void device_fence() { emu_memory_changes(); }
DEVICE int atomic_add(int* counter, int n) {
  const int before = *counter;
  *counter = before + n;
  return before;
}
DEVICE int atomic_max(int* p, int v) {
  const int before = *p;
  *p = before < v ? v : before;
  return before;
}
DEVICE void atomic_or(unsigned* p, unsigned bits) { *p |= bits; }
DEVICE int load_volatile(const int* p) {
  emu_yield();
  return *(const volatile int*)p;
}

// ---- lanes of a warp; all 32 take part ----

DEVICE int emu_lane() { return int(emu_thread->number % 32); }
template <class T>
DEVICE T emu_shuffle_from(T v, int source, const char* what, const char* file, int line) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles are of 4 or 8 bytes");
  EmuShuffle s{0, 0, source};
  __builtin_memcpy(&s.value, &v, sizeof v);
  emu_collective(~0u, &s, emu_shuffle, what, file, line);
  __builtin_memcpy(&v, &s.result, sizeof v);
  return v;
}
template <class T>
DEVICE T shuffle_xor(T v, int mask, EMU_SITE) {
  return emu_shuffle_from(v, emu_lane() ^ mask, "shuffle_xor", file, line);
}
template <class T>
DEVICE T shuffle_down(T v, int lanes, EMU_SITE) {
  const int lane = emu_lane();
  return emu_shuffle_from(v, lane + lanes > 31 ? lane : lane + lanes, "shuffle_down", file, line);
}
template <class T>
DEVICE T shuffle_up(T v, int lanes, EMU_SITE) {
  const int lane = emu_lane();
  return emu_shuffle_from(v, lane - lanes < 0 ? lane : lane - lanes, "shuffle_up", file, line);
}
template <class T>
DEVICE T shuffle(T v, int lane, EMU_SITE) {
  return emu_shuffle_from(v, lane & 31, "shuffle", file, line);
}
DEVICE unsigned ballot(bool v, EMU_SITE) {
  EmuVote b{v, 0};
  emu_collective(~0u, &b, emu_ballot, "ballot", file, line);
  return b.result;
}
DEVICE void warp_sync(EMU_SITE) {
  emu_collective(~0u, nullptr, nullptr, "warp_sync", file, line);
  emu_memory_changes();
}

// ---- the host's mathematics under the names of CUDA ----

#define EMU_MATH_1(X)                                                                                                \
  X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(sqrt) X(cbrt) X(sin) X(cos) X(tan) X(asin) X(acos)      \
  X(atan) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh) X(erf) X(erfc) X(floor) X(ceil) X(trunc) X(round)       \
  X(rint) X(nearbyint) X(fabs) X(tgamma) X(lgamma)
#define EMU_MATH_2(X) X(pow) X(fmod) X(fmin) X(fmax) X(copysign) X(atan2) X(hypot) X(remainder)
#define X(name)                    \
  extern "C" double name(double);  \
  extern "C" float name##f(float); \
  DEVICE float name(float v) { return name##f(v); }
EMU_MATH_1(X)
#undef X
#define X(name)                           \
  extern "C" double name(double, double); \
  extern "C" float name##f(float, float); \
  DEVICE float name(float a, float b) { return name##f(a, b); }
EMU_MATH_2(X)
#undef X
extern "C" double fma(double, double, double);
extern "C" float fmaf(float, float, float);
template <class T>
DEVICE bool isnan(T v) { return v != v; }
template <class T>
DEVICE bool isinf(T v) { return __builtin_isinf(v); }
template <class T>
DEVICE bool isfinite(T v) { return __builtin_isfinite(v); }
#define EMU_INTEGERS(X) X(int) X(unsigned) X(long long) X(unsigned long long)
#define X(T)                                       \
  DEVICE T min(T a, T b) { return a < b ? a : b; } \
  DEVICE T max(T a, T b) { return a < b ? b : a; }
EMU_INTEGERS(X)
#undef X
DEVICE int abs(int v) { return v < 0 ? -v : v; }

// ---- bits and numbers ----

template <class To, class From>
DEVICE To emu_bits(From v) {
  static_assert(sizeof(To) == sizeof(From), "");
  To r;
  __builtin_memcpy(&r, &v, sizeof r);
  return r;
}
DEVICE unsigned float_bits(float v) { return emu_bits<unsigned>(v); }
DEVICE float float_from_bits(unsigned v) { return emu_bits<float>(v); }
DEVICE unsigned long long double_bits(double v) { return emu_bits<unsigned long long>(v); }
DEVICE double double_from_bits(unsigned long long v) { return emu_bits<double>(v); }
DEVICE int count_bits(unsigned v) { return __builtin_popcount(v); }
DEVICE int leading_zeros(unsigned v) { return v ? __builtin_clz(v) : 32; }
DEVICE unsigned multiply_high(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
DEVICE float min_nan(float a, float b) { return a != a || b != b ? __builtin_nanf("") : a < b || (a == b && __builtin_signbit(a)) ? a : b; }
DEVICE float max_nan(float a, float b) { return a != a || b != b ? __builtin_nanf("") : b < a || (a == b && __builtin_signbit(b)) ? a : b; }
DEVICE float fused_multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
DEVICE double rounded_product(double a, double b) { return a * b; }

// Exact but for subnormal numbers, which count as zero.
DEVICE float emu_flush(float v) { return fabsf(v) < 0x1p-126f ? copysignf(0.f, v) : v; }
DEVICE float fast_exp2(float v) { return emu_flush(exp2f(emu_flush(v))); }
DEVICE float fast_log2(float v) { return log2f(emu_flush(v)); }
DEVICE float fast_reciprocal(float v) { return emu_flush(1.f / emu_flush(v)); }
DEVICE float fast_rsqrt(float v) { return 1.f / sqrtf(emu_flush(v)); }
DEVICE float fast_tanh(float v) { return tanhf(v); }
DEVICE int dot4_s8(int a, int b, int c) {
  for (int i = 0; i < 32; i += 8) c += int((signed char)(a >> i)) * int((signed char)(b >> i));
  return c;
}
DEVICE unsigned dot4_u8(unsigned a, unsigned b, unsigned c) {
  for (int i = 0; i < 32; i += 8) c += unsigned((unsigned char)(a >> i)) * unsigned((unsigned char)(b >> i));
  return c;
}

// ---- narrow floats, as bits; rounding is to nearest even ----

DEVICE unsigned short float_to_f16(float v) { return emu_to_f16(v); }
DEVICE float f16_to_float(unsigned short v) { return emu_from_f16(v); }
DEVICE unsigned short float_to_bf16(float v) { return emu_to_bf16(v); }
DEVICE float bf16_to_float(unsigned short v) { return float_from_bits(unsigned(v) << 16); }
DEVICE unsigned pack_f16(float low, float high) { return unsigned(emu_to_f16(low)) | unsigned(emu_to_f16(high)) << 16; }
DEVICE unsigned pack_bf16(float low, float high) { return unsigned(emu_to_bf16(low)) | unsigned(emu_to_bf16(high)) << 16; }
DEVICE unsigned char float_to_e4m3_saturated(float v) { return emu_to_e4m3(v); }
DEVICE unsigned char float_to_e5m2_saturated(float v) { return emu_to_e5m2(v); }
DEVICE float e4m3_to_float(unsigned char v) { return emu_from_e4m3(v); }
DEVICE float e5m2_to_float(unsigned char v) { return emu_from_f16((unsigned short)(v << 8)); }
DEVICE unsigned float_to_tf32(float v) {
  const unsigned bits = float_bits(v);
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
}

// ---- asynchronous copies from global to shared memory ----

template <int BYTES>
DEVICE void copy_async(void* shared, const void* global, bool valid = true, EMU_SITE) {
  emu_copy_async(shared, global, BYTES, valid ? BYTES : 0, file, line);
  emu_memory_changes();
}
DEVICE void copy_async_commit() { emu_copy_commit(); }
template <int GROUPS>
DEVICE void copy_async_wait() {
  emu_copy_wait(GROUPS);
  emu_memory_changes();
}

// ---- matrix products of a warp ----

#define EMU_LOAD_MATRIX(name, n, transposed)                              \
  DEVICE void name(unsigned (&r)[n], const void* row, EMU_SITE) {         \
    EmuLoadMatrix m{row, r, n, transposed};                               \
    emu_collective(~0u, &m, emu_load_matrix, "ldmatrix", file, line);     \
    emu_memory_changes();                                                 \
  }
EMU_LOAD_MATRIX(load_matrix_x4, 4, false)
EMU_LOAD_MATRIX(load_matrix_x2, 2, false)
EMU_LOAD_MATRIX(load_matrix_x4_transposed, 4, true)
EMU_LOAD_MATRIX(load_matrix_x2_transposed, 2, true)

#define EMU_MMA(type, Acc)                                                                           \
  DEVICE void mma_##type(Acc (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], EMU_SITE) {    \
    EmuMma m{d, a, b};                                                                               \
    emu_collective(~0u, &m, emu_mma_##type, "mma.sync", file, line);                                 \
    emu_memory_changes();                                                                            \
  }
EMU_MMA(f16, float)
EMU_MMA(bf16, float)
EMU_MMA(tf32, float)
EMU_MMA(e4m3, float)
EMU_MMA(e5m2, float)
EMU_MMA(s8, int)
EMU_MMA(u8, int)
EMU_MMA(s8_u8, int)
EMU_MMA(u8_s8, int)

// ---- calling a kernel with an array of pointers to its arguments ----

template <unsigned... I>
struct EmuIndices {};
template <class... A, unsigned... I>
DEVICE void emu_call(void (*kernel)(A...), void** args, EmuIndices<I...>) {
  kernel(*static_cast<A*>(args[I])...);
}
template <class... A>
DEVICE void emu_call(void (*kernel)(A...), void** args) {
  emu_call(kernel, args, EmuIndices<__integer_pack(sizeof...(A))...>());
}
// The size of parameter i, with kEmuPointer where it is an address; 0 behind the last.
template <class T>
struct EmuParameter {
  static constexpr unsigned value = sizeof(T);
};
template <class T>
struct EmuParameter<T*> {
  static constexpr unsigned value = sizeof(T*) | kEmuPointer;
};
template <class... A>
DEVICE unsigned emu_parameter(void (*)(A...), unsigned i) {
  const unsigned all[] = {EmuParameter<A>::value..., 0};
  return i < sizeof...(A) ? all[i] : 0;
}
