// Bandwidth of the cpu backend's vector kernels: bytes read plus written by the operator's definition, per second.
// Usage: bench_vector_cpu [threads] [name part]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backend/cpu/kernels/move.h"
#include "backend/cpu/kernels/norm.h"
#include "backend/cpu/kernels/pointwise.h"
#include "backend/cpu/kernels/pool.h"
#include "backend/cpu/kernels/reduce.h"
#include "backend/cpu/kernels/resize.h"
#include "backend/cpu/kernels/softmax.h"
#include "backend/cpu/kernels/transpose.h"

using namespace tenon;
using namespace tenon::cpu;

namespace {

const char* only = nullptr;

// The best of many batches, each just long enough for the clock: on a shared machine some run undisturbed.
template <class F>
void measure(const std::string& what, double bytes, F f) {
  if (only && what.find(only) == std::string::npos) return;
  using Clock = std::chrono::steady_clock;
  auto seconds = [&](int64_t times) {
    const auto begin = Clock::now();
    for (int64_t i = 0; i < times; ++i) f();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  int64_t times = 1;
  while (seconds(times) < 1e-4) times *= 2;
  double best = 1e9;
  for (int i = 0; i < 150; ++i) best = std::min(best, seconds(times) / double(times));
  std::printf("%-44s %10.2f us %8.1f GB/s\n", what.c_str(), best * 1e6, bytes / best * 1e-9);
}

struct Program {
  ScalarProgram program;
  Attrs attrs;
  ScalarArgs args;
  explicit Program(std::vector<DType> types) : args{attrs, &program, std::move(types)} {}
  S x(size_t i) { return args.x(i); }
};

struct Buffers {
  std::vector<std::vector<char>> all;
  void* make(int64_t bytes) {
    all.emplace_back(size_t(bytes) + 64);
    auto* f = reinterpret_cast<float*>(all.back().data());
    for (int64_t i = 0; i < bytes / 4; ++i) f[i] = float(i % 17) * 0.25f - 2;
    return all.back().data();
  }
};

template <class F>
void pointwise(ThreadPool& pool, const std::string& what, std::vector<DType> types, std::vector<Shape> shapes, const Shape& out, F f) {
  Program b(types);
  S y = f(b);
  b.program.outputs = {y.id()};
  auto code = PointwiseCode::compile(b.program, types);
  if (!code.ok()) return void(std::printf("%s: %s\n", what.c_str(), code.status().message().c_str()));
  auto plan = PointwisePlan::make(code.value(), shapes, out);
  Buffers buffers;
  std::vector<const void*> in;
  double bytes = double(num_elements(out) * bits(y.type()) / 8);
  for (size_t i = 0; i < types.size(); ++i) {
    const int64_t size = byte_size(types[i], num_elements(shapes[i]));
    in.push_back(buffers.make(size));
    bytes += double(size);
  }
  void* outputs[] = {buffers.make(byte_size(y.type(), num_elements(out)))};
  void* scratch = buffers.make(int64_t(plan.value().scratch_bytes(pool.threads())));
  measure("pointwise " + what, bytes, [&] { plan.value().run(pool, in.data(), outputs, scratch); });
}

void pointwise_all(ThreadPool& pool) {
  const DType f = DType::f32;
  for (int64_t n : {16, 1024, 16384, 262144, 4194304}) {
    const std::string size = " " + std::to_string(n);
    pointwise(pool, "relu" + size, {f}, {{n}}, {n}, [](Program& b) { return max(b.x(0), 0.0); });
    pointwise(pool, "add relu" + size, {f, f}, {{n}, {n}}, {n}, [](Program& b) { return max(b.x(0) + b.x(1), 0.0); });
  }
  const int64_t n = 262144;
  auto one = [&](const char* name, auto g) { pointwise(pool, std::string(name) + " 262144", {f}, {{n}}, {n}, [&](Program& b) { return g(b.x(0)); }); };
  one("exp", [](S x) { return unary(Prim::exp, x); });
  one("log", [](S x) { return unary(Prim::log, x); });
  one("tanh", [](S x) { return unary(Prim::tanh, x); });
  one("erf", [](S x) { return unary(Prim::erf, x); });
  one("sigmoid", [](S x) { return unary(Prim::sigmoid, x); });
  one("silu", [](S x) { return x * unary(Prim::sigmoid, x); });
  one("gelu", [](S x) { return x * 0.5 * (unary(Prim::erf, x * 0.70710678) + 1.0); });
  one("hard_swish", [](S x) { return x * min(max(x / 6.0 + 0.5, 0.0), 1.0); });
  one("elu", [](S x) { return select(x < 0.0, unary(Prim::expm1, x), x); });
  one("softplus", [](S x) { return unary(Prim::log1p, unary(Prim::exp, x)); });
  one("sin", [](S x) { return unary(Prim::sin, x); });
  one("atan", [](S x) { return unary(Prim::atan, x); });
  one("pow 2.5", [](S x) { return pow(x, x.same(2.5)); });
  pointwise(pool, "bias NCHW 8x256x14x14", {f, f}, {{8, 256, 14, 14}, {256, 1, 1}}, {8, 256, 14, 14}, [](Program& b) { return b.x(0) + b.x(1); });
  pointwise(pool, "bias NCHW 8x512x7x7", {f, f}, {{8, 512, 7, 7}, {512, 1, 1}}, {8, 512, 7, 7}, [](Program& b) { return b.x(0) + b.x(1); });
  pointwise(pool, "bias NHWC 8x14x14x256", {f, f}, {{8, 14, 14, 256}, {256}}, {8, 14, 14, 256}, [](Program& b) { return b.x(0) + b.x(1); });
  pointwise(pool, "scale rows 1024x768", {f, f}, {{1024, 768}, {1024, 1}}, {1024, 768}, [](Program& b) { return b.x(0) * b.x(1); });
  pointwise(pool, "add f16 262144", {DType::f16, DType::f16}, {{n}, {n}}, {n}, [](Program& b) { return b.x(0) + b.x(1); });
  pointwise(pool, "add bf16 262144", {DType::bf16, DType::bf16}, {{n}, {n}}, {n}, [](Program& b) { return b.x(0) + b.x(1); });
  pointwise(pool, "cast f32 u8 262144", {f}, {{n}}, {n}, [](Program& b) { return cast(b.x(0), DType::u8); });
  pointwise(pool, "add i64 262144", {DType::i64, DType::i64}, {{n}, {n}}, {n}, [](Program& b) { return b.x(0) + b.x(1); });
  pointwise(pool, "where 262144", {DType::boolean, f, f}, {{n}, {n}, {n}}, {n}, [](Program& b) { return select(b.x(0), b.x(1), b.x(2)); });
}

void reduce_all(ThreadPool& pool) {
  struct Case {
    const char* name;
    ReduceOp op;
    Shape shape;
    std::vector<int64_t> axes;
  };
  for (auto& c : std::initializer_list<Case>{{"sum 1048576 -> 1", ReduceOp::sum, {1048576}, {0}}, {"sum 1024x768 last", ReduceOp::sum, {1024, 768}, {1}},
                                             {"sum 1024x768 first", ReduceOp::sum, {1024, 768}, {0}}, {"mean 8x2048x7x7 last two (NCHW gap)", ReduceOp::mean, {8, 2048, 7, 7}, {2, 3}},
                                             {"mean 8x7x7x2048 middle (NHWC gap)", ReduceOp::mean, {8, 7, 7, 2048}, {1, 2}}, {"max 1024x768 last", ReduceOp::max, {1024, 768}, {1}},
                                             {"log_sum_exp 1024x768 last", ReduceOp::log_sum_exp, {1024, 768}, {1}}, {"sum 4096x16 last", ReduceOp::sum, {4096, 16}, {1}}}) {
    auto plan = ReducePlan::make({c.op, DType::f32, c.shape, c.axes});
    Buffers b;
    const int64_t bytes = num_elements(c.shape) * 4;
    void *x = b.make(bytes), *y = b.make(bytes), *scratch = b.make(int64_t(plan.value().scratch_bytes()));
    measure(std::string("reduce ") + c.name, double(bytes), [&] { plan.value().run(pool, x, y, scratch); });
  }
  Buffers b;
  float* x = static_cast<float*>(b.make(64 * 30522 * 4));
  auto* y = static_cast<int64_t*>(b.make(1 << 20));
  measure("argmax 64x30522 last", 64 * 30522 * 4, [&] { arg_reduce(pool, {true, false, DType::f32, 64, 30522, 1}, x, y); });
  measure("argmax 64x1000x64 middle", 64 * 1000 * 64 / 4 * 4, [&] { arg_reduce(pool, {true, false, DType::f32, 16, 1000, 64}, x, y); });
}

void norm_all(ThreadPool& pool) {
  Buffers b;
  void *x = b.make(16 << 20), *y = b.make(16 << 20), *p = b.make(1 << 16), *scratch = b.make(4 << 20);
  for (auto [rows, n] : {std::pair<int64_t, int64_t>{1536, 128}, {4608, 384}, {64, 1000}, {4096, 16}}) {
    SoftmaxDesc k;
    k.outer = rows, k.n = n;
    measure("softmax " + std::to_string(rows) + "x" + std::to_string(n), double(rows * n * 8), [&] { softmax(pool, k, x, nullptr, y, scratch); });
    k.scale = 0.125f;
    k.row_dims[2] = rows;
    measure("softmax scale mask " + std::to_string(rows) + "x" + std::to_string(n), double(rows * n * 8), [&] { softmax(pool, k, x, p, y, scratch); });
  }
  SoftmaxDesc k;
  k.outer = 8, k.n = 21, k.inner = 4096;
  measure("softmax 8x21x4096 middle", double(8 * 21 * 4096 * 8), [&] { softmax(pool, k, x, nullptr, y, scratch); });
  for (bool rms : {false, true}) {
    LayerNormDesc d{DType::f32, DType::f32, 1024, 768, 1e-5f, rms};
    LayerNormArgs g{x, nullptr, p, p, y};
    measure(rms ? "rms norm 1024x768" : "layer norm 1024x768", double(1024 * 768 * 8), [&] { layer_norm(pool, d, g, scratch); });
  }
  measure("group norm 2x320x1024 /32", double(2 * 320 * 1024 * 8), [&] { group_norm(pool, {DType::f32, 2, 320, 1024, 32, 1e-5f}, x, p, p, y); });
}

void pool_all(ThreadPool& pool) {
  Buffers b;
  void *x = b.make(32 << 20), *y = b.make(16 << 20), *scratch = b.make(1 << 20);
  for (bool last : {true, false})
    for (bool max : {true, false}) {
      PoolDesc k;
      k.channels_last = last, k.max = max, k.channels = 64, k.h = k.w = 112, k.out_h = k.out_w = 56;
      k.kernel_h = k.kernel_w = 3, k.stride_h = k.stride_w = 2, k.pad_top = k.pad_left = k.pad_bottom = k.pad_right = 1;
      measure(std::string(max ? "max" : "average") + (last ? " pool NHWC" : " pool NCHW") + " 3x3/2 64x112x112", 64 * 112 * 112 * 5.0, [&] { pool_2d(pool, k, x, y, scratch); });
      k.h = k.w = k.out_h = k.out_w = 28, k.stride_h = k.stride_w = 1, k.channels = 256;
      measure(std::string(max ? "max" : "average") + (last ? " pool NHWC" : " pool NCHW") + " 3x3/1 256x28x28", 256 * 28 * 28 * 8.0, [&] { pool_2d(pool, k, x, y, scratch); });
    }
}

void move_all(ThreadPool& pool) {
  Buffers b;
  void *x = b.make(32 << 20), *y = b.make(32 << 20), *scratch = b.make(1 << 20);
  struct Case {
    const char* name;
    int bytes;
    Shape shape;
    std::vector<int64_t> perm;
  };
  for (auto& c : std::initializer_list<Case>{{"1024x1024 f32", 4, {1024, 1024}, {1, 0}}, {"1000x1000 f32", 4, {1000, 1000}, {1, 0}}, {"1024x1024 u8", 1, {1024, 1024}, {1, 0}}, {"1024x1024 f16", 2, {1024, 1024}, {1, 0}}, {"1024x1024 i64", 8, {1024, 1024}, {1, 0}},
                                             {"NCHW->NHWC 8x64x56x56", 4, {8, 64, 56, 56}, {0, 2, 3, 1}}, {"NHWC->NCHW 8x56x56x64", 4, {8, 56, 56, 64}, {0, 3, 1, 2}},
                                             {"NCHW->NHWC 8x3x224x224", 4, {8, 3, 224, 224}, {0, 2, 3, 1}}, {"NHWC->NCHW 8x224x224x3", 4, {8, 224, 224, 3}, {0, 3, 1, 2}},
                                             {"NCHW->NHWC 8x512x7x7", 4, {8, 512, 7, 7}, {0, 2, 3, 1}}, {"heads 8x128x12x64", 4, {8, 128, 12, 64}, {0, 2, 1, 3}}, {"keys 8x128x12x64", 4, {8, 128, 12, 64}, {0, 2, 3, 1}}}) {
    auto plan = TransposePlan::make(c.bytes, c.shape, c.perm);
    measure(std::string("transpose ") + c.name, double(num_elements(c.shape) * c.bytes * 2), [&] { plan.value().run(pool, x, y); });
  }
  auto copy = [&](const char* name, int bytes, const Shape& s, const Shape& in, const Shape& out) {
    auto plan = CopyPlan::make(bytes, s, in, out);
    measure(std::string("copy ") + name, double(num_elements(s) * bytes * 2), [&] { plan.value().run(pool, x, y); });
  };
  copy("1 MiB", 4, {262144}, {1}, {1});
  copy("16 MiB", 4, {4194304}, {1}, {1});
  copy("concat part 1024x64 of 256", 4, {1024, 64}, {64, 1}, {256, 1});
  copy("slice step 2", 4, {1024, 512}, {1024, 2}, {512, 1});
  copy("expand rows", 4, {1024, 512}, {0, 1}, {512, 1});
  auto pad = PadPlan::make(PadMode::constant, 4, {8, 56, 56, 64}, {0, 1, 1, 0}, {0, 1, 1, 0});
  const float zero = 0;
  measure("pad NHWC 8x56x56x64 by 1", 8.0 * (56 * 56 + 58 * 58) * 64 * 4, [&] { pad.value().run(pool, x, &zero, y); });
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < 1024; ++i) indices.push_back(i * 7919 % 10000);
  GatherDesc g{4, DType::i64, 1, 10000, 768, 1024};
  measure("gather 1024 rows of 768", 1024 * 768 * 8.0, [&] { (void)gather(pool, g, x, indices.data(), y); });
  for (bool last : {true, false}) {
    ResizeDesc k{last, DType::f32, 1, 64, 56, 56, 112, 112};
    std::vector<int32_t> near, two;
    std::vector<float> weights;
    for (int32_t i = 0; i < 112; ++i) near.push_back(i / 2), two.push_back(i / 2), two.push_back(std::min(i / 2 + 1, 55)), weights.push_back(0.25f), weights.push_back(0.75f);
    const char* layout = last ? " NHWC 64x56x56 x2" : " NCHW 64x56x56 x2";
    measure(std::string("resize nearest") + layout, 64 * 56 * 56 * 20.0, [&] { resize_nearest(pool, k, near.data(), near.data(), x, y); });
    measure(std::string("resize linear") + layout, 64 * 56 * 56 * 20.0, [&] { resize_linear(pool, k, {two.data(), weights.data(), two.data(), weights.data()}, x, y, scratch); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::max(1, std::atoi(argv[1])) : 1);
  if (argc > 2) only = argv[2];
  pointwise_all(pool);
  reduce_all(pool);
  norm_all(pool);
  pool_all(pool);
  move_all(pool);
}
