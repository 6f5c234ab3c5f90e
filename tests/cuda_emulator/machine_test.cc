// The machine by itself: kernels as text, run with arguments on the host's memory.
#include "cuda_emulator/machine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <vector>

#include "base/tensor.h"
#include "base/random.h"
#include "cuda_emulator/library.h"

namespace tenon::emulator {
namespace {

// Compiles a kernel named "k" and runs it in both orders; the first error.
template <class... Args>
Status run(const std::string& source, GridShape shape, Args... args) {
  auto module = TRY(load_library("", source));
  void* pointers[] = {&args..., nullptr};
  if (!module->find("k")) return internal_error("there is no kernel 'k'");
  TRY(check_launch(*module->find("k"), shape, 200 << 10));
  for (Order order : {Order::forwards, Order::backwards}) TRY(run_grid(*module->find("k"), shape, pointers, order));
  return {};
}

TEST(CudaEmulator, IndicesOfAGrid) {
  std::vector<int> out(2 * 3 * 4 * 5, -1);
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(int* out) {
    const int block = blockIdx.y * gridDim.x + blockIdx.x, thread = threadIdx.y * blockDim.x + threadIdx.x;
    out[block * 20 + thread] = 1000 * block + thread;
  })", {{2, 3, 1}, {4, 5, 1}}, out.data()).ok());
  for (int i = 0; i < 120; ++i) EXPECT_EQ(out[size_t(i)], 1000 * (i / 20) + i % 20);
}

TEST(CudaEmulator, SharedMemoryAndBarriers) {
  std::vector<int> out(256);
  // Reverses a block through static and through dynamic shared memory, twice, so that a missing barrier shows.
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(int* out) {
    __shared__ int tile[128];
    int* dynamic = reinterpret_cast<int*>(dynamic_shared());
    const int t = threadIdx.x;
    tile[t] = blockIdx.x * 128 + t;
    __syncthreads();
    dynamic[t] = tile[127 - t];
    __syncthreads();
    out[blockIdx.x * 128 + t] = dynamic[t ^ 1];
  })", {{2, 1, 1}, {128, 1, 1}, 512}, out.data()).ok());
  for (int i = 0; i < 256; ++i) EXPECT_EQ(out[size_t(i)], i / 128 * 128 + (127 - (i % 128 ^ 1)));
}

TEST(CudaEmulator, SharedMemoryIsUnsetInEveryBlock) {
  std::vector<int> out(4);
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(int* out) {
    __shared__ int s[1];
    out[2 * blockIdx.x] = s[0];
    out[2 * blockIdx.x + 1] = *reinterpret_cast<int*>(dynamic_shared());
    s[0] = 5;
    *reinterpret_cast<int*>(dynamic_shared()) = 6;
  })", {{2, 1, 1}, {1, 1, 1}, 4}, out.data()).ok());
  EXPECT_EQ(out, (std::vector<int>{-1, -1, -1, -1}));
}

TEST(CudaEmulator, WarpsShuffleAndVote) {
  std::vector<float> out(64);
  std::vector<unsigned> votes(64);
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(float* out, unsigned* votes) {
    float v = float(threadIdx.x);
    UNROLL
    for (int m = 16; m; m /= 2) v += shuffle_xor(v, m);
    v += shuffle_down(float(threadIdx.x), 1) + 100.f * shuffle_up(float(threadIdx.x), 2) + 10000.f * shuffle(float(threadIdx.x), 7);
    out[threadIdx.x] = v;
    votes[threadIdx.x] = ballot(threadIdx.x % 3 == 0);
  })", {{1, 1, 1}, {64, 1, 1}}, out.data(), votes.data()).ok());
  for (int i = 0; i < 64; ++i) {
    const int warp = i / 32 * 32, lane = i % 32;
    const float sum = float(warp * 32 + 31 * 16), down = float(lane < 31 ? i + 1 : i), up = float(lane > 1 ? i - 2 : i);
    EXPECT_EQ(out[size_t(i)], sum + down + 100 * up + 10000.f * float(warp + 7)) << i;
    unsigned want = 0;
    for (int l = 0; l < 32; ++l) want |= unsigned((warp + l) % 3 == 0) << l;
    EXPECT_EQ(votes[size_t(i)], want);
  }
}

TEST(CudaEmulator, NamedBarriers) {
  std::vector<int> out(32);
  // One warp fills, the other waits for it and reads; then the first may fill again.
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(int* out) {
    __shared__ int s[32];
    const int lane = threadIdx.x % 32;
    int sum = 0;
    for (int round = 0; round < 3; ++round) {
      if (threadIdx.x < 32) {
        s[lane] = 100 * round + lane;
        named_barrier_arrive(1, 64);
        named_barrier_sync(2, 64);
      } else {
        named_barrier_sync(1, 64);
        sum += s[31 - lane];
        named_barrier_arrive(2, 64);
      }
    }
    if (threadIdx.x >= 32) out[lane] = sum;
  })", {{1, 1, 1}, {64, 1, 1}}, out.data()).ok());
  for (int i = 0; i < 32; ++i) EXPECT_EQ(out[size_t(i)], 300 + 3 * (31 - i));
}

TEST(CudaEmulator, BarriersCountAndOthersMayLeave) {
  std::vector<int> out(64, -1);
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(int* out) {
    if (threadIdx.x >= 48) return;
    out[threadIdx.x] = __syncthreads_count(threadIdx.x % 2) + 100 * __syncthreads_and(1) + 1000 * __syncthreads_or(threadIdx.x == 5);
  })", {{1, 1, 1}, {64, 1, 1}}, out.data()).ok());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[size_t(i)], i < 48 ? 1124 : -1);
}

// ---- matrix instructions, against loops over the matrices ------------------------------------------------------------

TEST(CudaEmulator, LoadsMatrices) {
  std::vector<unsigned short> in(256);
  for (int i = 0; i < 256; ++i) in[size_t(i)] = (unsigned short)i;
  std::vector<unsigned> out(2 * 32 * 4);
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(const unsigned short* in, unsigned* out) {
    __shared__ __align__(16) unsigned short s[256];
    for (int i = threadIdx.x; i < 256; i += 32) s[i] = in[i];
    __syncthreads();
    unsigned r[4], t[4];
    load_matrix_x4(r, s + 8 * threadIdx.x);
    load_matrix_x4_transposed(t, s + 8 * threadIdx.x);
    for (int i = 0; i < 4; ++i) out[4 * threadIdx.x + i] = r[i], out[128 + 4 * threadIdx.x + i] = t[i];
  })", {{1, 1, 1}, {32, 1, 1}}, in.data(), out.data()).ok());
  for (unsigned l = 0; l < 32; ++l)
    for (unsigned m = 0; m < 4; ++m) {
      const unsigned row = l / 4, column = l % 4 * 2, at = 64 * m;
      EXPECT_EQ(out[4 * l + m], (at + 8 * row + column) | (at + 8 * row + column + 1) << 16);
      EXPECT_EQ(out[128 + 4 * l + m], (at + 8 * column + row) | (at + 8 * (column + 1) + row) << 16);
    }
}

// D[16,8] += A[16,K] B[K,8] with A row-major and B column-major in memory, filled into registers as the PTX ISA tells for
// m16n8k(8n): its formulas are written out here for each type, not derived as in the emulator.
struct MmaCase {
  const char* name;
  int n;        // elements of a register
  DType type;
  const char *a_row, *a_column, *b_row;  // of element i of a thread; b's column is g
};

TEST(CudaEmulator, MultipliesMatrices) {
  const MmaCase cases[] = {
      {"mma_f16", 2, DType::f16, "i < 2 || (4 <= i && i < 6) ? g : g + 8", "i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8",
       "i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8"},
      {"mma_bf16", 2, DType::bf16, "i < 2 || (4 <= i && i < 6) ? g : g + 8", "i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8",
       "i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8"},
      {"mma_tf32", 1, DType::f32, "i % 2 == 0 ? g : g + 8", "i < 2 ? t : t + 4", "i == 0 ? t : t + 4"},
      {"mma_s8", 4, DType::i8, "i < 4 || (8 <= i && i < 12) ? g : g + 8", "i < 8 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16",
       "i < 4 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16"},
      {"mma_e4m3", 4, DType::f8e4m3fn, "i < 4 || (8 <= i && i < 12) ? g : g + 8",
       "i < 8 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16", "i < 4 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16"},
  };
  for (const MmaCase& c : cases) {
    const int K = 8 * c.n;
    const bool ints = c.type == DType::i8;
    const std::string element = c.n == 1 ? "unsigned" : c.n == 2 ? "unsigned short" : "unsigned char", sum = ints ? "int" : "float";
    const std::string source = cat("extern \"C\" __global__ void k(const ", element, "* a, const ", element, "* b, ", sum, "* d) {\n",
        "  const int g = threadIdx.x / 4, t = threadIdx.x % 4;\n  unsigned ra[4] = {}, rb[2] = {};\n",
        "  for (int i = 0; i < ", 4 * c.n, "; ++i) ra[i / ", c.n, "] |= unsigned(a[(", c.a_row, ") * ", K, " + (", c.a_column, ")]) << i % ", c.n, " * ", 32 / c.n % 32, ";\n",
        "  for (int i = 0; i < ", 2 * c.n, "; ++i) rb[i / ", c.n, "] |= unsigned(b[g * ", K, " + (", c.b_row, ")]) << i % ", c.n, " * ", 32 / c.n % 32, ";\n",
        "  ", sum, " rd[4];\n  for (int i = 0; i < 4; ++i) rd[i] = d[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)];\n",
        "  ", c.name, "(rd, ra, rb);\n",
        "  for (int i = 0; i < 4; ++i) d[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)] = rd[i];\n}");
    Tensor a = Tensor::make(c.type, {16, K}), b = Tensor::make(c.type, {8, K}), d = Tensor::make(ints ? DType::i32 : DType::f32, {16, 8});
    Random random(7);
    for (Tensor* t : {&a, &b, &d})
      for (int64_t i = 0; i < t->size(); ++i) ints ? t->set_int(i, int64_t(random.next() % 200) - 100) : t->set(i, double(int(random.next() % 64) - 32) / 16);
    std::vector<double> want;
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        double s = d.at(i * 8 + j);
        for (int pass = 0; pass < 2; ++pass)  // run() does it twice
          for (int k = 0; k < K; ++k) s += a.at(i * K + k) * b.at(j * K + k);
        want.push_back(s);
      }
    const Status s = run(source, {{1, 1, 1}, {32, 1, 1}}, a.data(), b.data(), d.data());
    ASSERT_TRUE(s.ok()) << s.to_string() << source;
    EXPECT_EQ(d.to_doubles(), want) << c.name;  // small numbers: all sums are exact
  }
}

TEST(CudaEmulator, Tf32DropsLowBits) {
  std::vector<float> d(128, 0);
  ASSERT_TRUE(run(R"(extern "C" __global__ void k(float* d) {
    unsigned a[4], b[2] = {float_bits(1.f), 0};
    for (unsigned& v : a) v = float_bits(1.f) | 0x1fff;
    float r[4] = {};
    mma_tf32(r, a, b);
    d[threadIdx.x] = r[0];
  })", {{1, 1, 1}, {32, 1, 1}}, d.data()).ok());
  EXPECT_EQ(d[0], 4.f);  // k = 0..3: ones times ones; the second half of k meets zeros
}

TEST(CudaEmulator, AsynchronousCopies) {
  std::vector<int> in(64), out(64);
  for (int i = 0; i < 64; ++i) in[size_t(i)] = i;
  const std::string source = R"(extern "C" __global__ void k(const int* in, int* out) {
    __shared__ __align__(16) int s[2][64];
    const int t = threadIdx.x;
    copy_async<16>(s[0] + 4 * t, in + 4 * t);
    copy_async_commit();
    copy_async<16>(s[1] + 4 * t, in + 4 * t, t % 2 == 0);
    copy_async_commit();
    copy_async_wait<WAIT>();
    __syncthreads();
    for (int i = 0; i < 4; ++i) out[4 * t + i] = s[0][63 - 4 * t - i] + 100 * s[1][4 * t + i];
  })";
  std::string good = source, early = source;
  good.replace(good.find("WAIT"), 4, "0");
  early.replace(early.find("WAIT"), 4, "1");
  ASSERT_TRUE(run(good, {{1, 1, 1}, {16, 1, 1}}, in.data(), out.data()).ok());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[size_t(i)], 63 - i + (i / 4 % 2 ? 0 : 100 * i));
  ASSERT_TRUE(run(early, {{1, 1, 1}, {16, 1, 1}}, in.data(), out.data()).ok());
  EXPECT_EQ(out[0], 63 - 100) << "backwards, a copy that nobody waits for has not been done";
}

// ---- errors ------------------------------------------------------------------------------------------------------------

void expect_error(const std::string& source, GridShape shape, const std::string& part) {
  std::vector<float> memory(1024);
  const Status s = run(source, shape, memory.data());
  EXPECT_NE(s.message().find(part), std::string::npos) << (s.ok() ? "no error" : s.message());
  EXPECT_NE(s.message().find("kernel"), std::string::npos) << s.message();
}
std::string kernel(const std::string& body) { return cat("extern \"C\" __global__ void k(float* p) {\n", body, "\n}\n"); }
constexpr GridShape kOneBlock = {{1, 1, 1}, {64, 1, 1}, 256};

TEST(CudaEmulatorErrors, Barriers) {
  expect_error(kernel("if (threadIdx.x < 40) __syncthreads();\nelse named_barrier_sync(3, 64);"), kOneBlock,
               "deadlock: threads 0-39 wait in __syncthreads() at kernel:2; threads 40-63 wait in a named barrier at kernel:3");
  expect_error(kernel("if (threadIdx.x == 0) __syncthreads();\nelse\n__syncthreads();"), kOneBlock, "others at kernel:");
  expect_error(kernel("if (threadIdx.x < 16) p[threadIdx.x] = shuffle_xor(1.f, 1);\nelse __syncthreads();"), kOneBlock, "wait in shuffle_xor at kernel:2");
  expect_error(kernel("if (threadIdx.x < 16) shuffle_xor(1.f, 1);\nelse shuffle_xor(2.f, 1);"), kOneBlock, "some lanes of a warp");
  expect_error(kernel("unsigned r[4];\nif (threadIdx.x < 16) load_matrix_x4(r, dynamic_shared());"), kOneBlock, "only some lanes");
}

TEST(CudaEmulatorErrors, Memory) {
  expect_error(kernel("*reinterpret_cast<volatile float*>(0) = 1;"), kOneBlock, "block (0, 0, 0), thread (0, 0, 0): an access to 0x0");
  expect_error(kernel("dynamic_shared()[4096 + 4 * threadIdx.x] = 1;"), kOneBlock, "behind its 256 bytes of dynamic shared memory (kernel:2)");
  expect_error(kernel("if (threadIdx.x == 7) dynamic_shared()[256 + threadIdx.x] = 1;"), kOneBlock, "behind its 256 bytes of dynamic shared memory");
  expect_error(kernel("__shared__ float s[32];\ns[threadIdx.x] = 1;\n__syncthreads();\np[0] = s[0];"), kOneBlock,
               "thread (32, 0, 0): an index outside of its array, or an address that is not a multiple of the access (kernel:3)");
  expect_error(kernel("struct alignas(16) V { float v[4]; };\n*reinterpret_cast<V*>(p + threadIdx.x) = V{};"), kOneBlock, "thread (1, 0, 0): an index outside");
  expect_error(kernel("int z = int(threadIdx.x) / 64;\np[0] = 100 / z;"), kOneBlock, "an integer division by zero");
  expect_error("__device__ __attribute__((noinline)) int deep(int n) { volatile char big[1000]; big[n % 1000] = 1; return deep(n + 1) + big[0]; }\n" +
               kernel("p[0] = deep(int(threadIdx.x));"), kOneBlock, "local memory is beyond");
}

TEST(CudaEmulatorErrors, Launches) {
  expect_error(kernel(""), {{1, 1, 1}, {2000, 1, 1}}, "a block of [2000, 1, 1] threads");
  expect_error("extern \"C\" __global__ void __launch_bounds__(64, 2) k(float* p) {}", {{1, 1, 1}, {96, 1, 1}}, "its __launch_bounds__ are 64");
  expect_error(kernel(""), {{1, 1, 1}, {32, 1, 1}, 201 << 10}, "bytes of dynamic");
  expect_error(kernel("__shared__ float s[20000];\ns[threadIdx.x] = 1;\n__syncthreads();\np[0] = s[1];"), kOneBlock, "80000 bytes of static shared memory");
  expect_error(kernel(""), {{1, 70000, 1}, {1, 1, 1}}, "a grid of [1, 70000, 1] blocks");
  expect_error(kernel(""), {{1, 1, 1}, {32, 1, 1}, 0, true}, "never waits for the kernel in front of it");
  expect_error("int k = 1 +;", kOneBlock, "does not compile");
}

TEST(CudaEmulatorErrors, TheMachineGoesOnAfterOne) {
  for (int i = 0; i < 3; ++i) {
    expect_error(kernel("if (threadIdx.x & 1) __syncthreads();\nelse shuffle(1.f, 0);"), kOneBlock, "deadlock");
    std::vector<float> memory(64);
    ASSERT_TRUE(run(kernel("__syncthreads();\np[threadIdx.x] = shuffle_xor(float(threadIdx.x), 1);"), kOneBlock, memory.data()).ok());
    EXPECT_EQ(memory[6], 7.f);
  }
}

// Not a promise, but what makes blocks with many barriers bearable: a switch of fibers costs tens of nanoseconds at most.
TEST(CudaEmulator, SwitchesAreCheap) {
  auto module = load_library("", kernel("for (int i = 0; i < 1000; ++i) __syncthreads();"));
  ASSERT_TRUE(module.ok()) << module.status().to_string();
  float* none = nullptr;
  void* args[] = {&none};
  double best = 1;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(run_grid(*(*module)->find("k"), {{1, 1, 1}, {256, 1, 1}}, args, Order::forwards).ok());
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 256e3);
  }
  std::printf("%.1f ns a thread and barrier\n", best * 1e9);
  EXPECT_LT(best, 1e-6);
}

}  // namespace
}  // namespace tenon::emulator
