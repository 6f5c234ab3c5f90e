// Speed of the CPU kernels: GFLOP/s and percent of the multiply-add peak measured in the same run.
//
// kernels_cpu [--threads=N] [--isa=avx512] [--filter=TEXT] [--seconds=0.2]
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "../bench/kernels_cpu.cc"  // from src/, which is on the include path
#include "hwy/foreach_target.h"

#include <cstdint>

#include "backend/cpu/kernels/micro.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Independent multiply-add chains in registers; returns the floating-point operations done.
int64_t burn(int64_t rounds, float* out) {
  const hn::ScalableTag<float> d;
  constexpr int kChains = HWY_TARGET == HWY_AVX3 ? 24 : 12;
  hn::Vec<decltype(d)> acc[kChains];
  const auto x = hn::Set(d, 0.999f);
  TENON_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = hn::Set(d, static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    TENON_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], x, x);
  }
  auto sum = hn::Zero(d);
  TENON_UNROLL for (int i = 0; i < kChains; ++i) sum = hn::Add(sum, acc[i]);
  hn::StoreU(sum, d, out);
  return rounds * kChains * 2 * static_cast<int64_t>(hn::Lanes(d));
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/gemm.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

struct Options {
  int threads = 1;
  Isa isa = best_isa();
  std::string filter;
  double seconds = 0.2;
};

// One thread is timed by its own processor time, so that other work on the machine counts less.
bool g_own_time = true;

double now() {
  timespec t = {};
  clock_gettime(g_own_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The best of several runs: other work on the machine only makes a run slower.
template <class F>
double best_seconds(double budget, const F& f) {
  f();
  double best = 1e30;
  const double start = now();
  int runs = 0;
  while (runs < 3 || now() - start < budget) {
    const double t = now();
    f();
    best = std::min(best, now() - t);
    ++runs;
  }
  return best;
}

int64_t burn_on(Isa isa, int64_t rounds, float* out) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::burn(rounds, out);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::burn(rounds, out);
#endif
  return HWY_STATIC_DISPATCH(burn)(rounds, out);
}

double measure_peak(const Options& o, ThreadPool& pool) {
  std::vector<int64_t> flops(static_cast<size_t>(o.threads));
  std::vector<float> sink(static_cast<size_t>(o.threads) * 64);
  const double t = best_seconds(0.3, [&] {
    pool.parallel_for(o.threads, [&](int64_t i, int) {
      flops[static_cast<size_t>(i)] = burn_on(o.isa, 20000, &sink[static_cast<size_t>(i) * 64]);
    });
  });
  double sum = 0;
  for (int64_t f : flops) sum += static_cast<double>(f);
  return sum / t * 1e-9;
}

struct Buffer {
  explicit Buffer(int64_t bytes) {
    const size_t n = static_cast<size_t>(std::max<int64_t>(bytes, 64) + 63) / 64 * 64;
    data = static_cast<float*>(std::aligned_alloc(64, n));
    for (size_t i = 0; i < n / 4; ++i) data[i] = static_cast<float>(i % 17) * 0.1f - 0.8f;
  }
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* data;
};

class Bench {
 public:
  explicit Bench(const Options& o) : o_(o), pool_(o.threads) {
    peak_ = measure_peak(o_, pool_);
    std::printf("%s, %d threads, peak %.1f GFLOP/s\n", std::string(isa_name(o_.isa)).c_str(), o_.threads,
                peak_);
  }

  void gemm_case(int64_t m, int64_t n, int64_t k, bool packed, bool tb = false, int64_t batch = 1,
                 Activation act = Activation::none) {
    const std::string name =
        std::string(packed ? "gemm packed "
                    : tb   ? "gemm A*B^T "
                           : "gemm A*B ") +
        std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) +
        (batch > 1 ? " batch " + std::to_string(batch) : "") +
        (act == Activation::none ? "" : " activation " + std::to_string(static_cast<int>(act)));
    if (skip(name)) return;
    GemmDesc d{.isa = o_.isa, .m = m, .n = n, .k = k, .transpose_b = tb, .batch_rank = 1};
    d.batch[0] = batch;
    d.batch_a[0] = m * k, d.batch_b[0] = packed ? 0 : n * k, d.batch_c[0] = m * n;
    Buffer a(batch * m * k * 4), b(batch * n * k * 4), c(batch * m * n * 4),
        w(gemm_packed_bytes(o_.isa, k, n));
    Buffer scratch(std::max(gemm_packed_scratch_bytes(d, o_.threads), gemm_scratch_bytes(d, o_.threads)));
    gemm_pack(o_.isa, k, n, b.data, 0, tb, w.data);
    Epilogue e;
    e.act = act;
    e.b = 1.0f;
    report(name, 2.0 * static_cast<double>(batch * m * n * k), static_cast<double>(n * k * 4 * batch), [&] {
      if (packed) {
        gemm_packed(d, a.data, w.data, c.data, e, scratch.data, pool_);
      } else {
        gemm(d, a.data, b.data, c.data, e, scratch.data, pool_);
      }
    });
  }

  void conv_case(const char* net, int64_t size, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                 int64_t groups = 1, bool nchw = false, bool transposed = false) {
    ConvDesc d;
    d.isa = o_.isa;
    d.in_h = d.in_w = size;
    d.in_c = in, d.out_c = out, d.groups = groups, d.nchw_input = nchw;
    d.kernel_h = d.kernel_w = kernel;
    d.stride_h = d.stride_w = stride;
    d.pad_top = d.pad_left = transposed ? 0 : kernel / 2;
    d.out_h = d.out_w = transposed ? size * stride : (size + 2 * d.pad_top - kernel) / stride + 1;
    char name[120];
    std::snprintf(name, sizeof name, "%s %s %ldx%ld c%ld->%ld k%ld s%ld%s", net,
                  transposed ? "transposed" : std::string(conv_kind_name(conv_kind(d))).c_str(),
                  static_cast<long>(size), static_cast<long>(size), static_cast<long>(in),
                  static_cast<long>(out), static_cast<long>(kernel), static_cast<long>(stride),
                  groups > 1 && groups < in ? (" g" + std::to_string(groups)).c_str() : "");
    if (skip(name)) return;
    Buffer x(size * size * in * 4), w(in * out / groups * kernel * kernel * 4),
        y(d.out_h * d.out_w * out * 4), bias(out * 4);
    Buffer packed(transposed ? conv_transpose_packed_bytes(d) : conv_packed_bytes(d));
    Buffer scratch(transposed ? conv_transpose_scratch_bytes(d, o_.threads)
                              : conv_scratch_bytes(d, o_.threads));
    (transposed ? conv_transpose_pack : conv_pack)(d, w.data, packed.data);
    Epilogue e;
    e.col_bias = bias.data;
    e.act = Activation::relu;
    const double pixels = static_cast<double>(transposed ? size * size : d.out_h * d.out_w);
    report(name, 2.0 * pixels * static_cast<double>(out * in / groups * kernel * kernel),
           static_cast<double>((size * size * in + d.out_h * d.out_w * out) * 4), [&] {
             (transposed ? conv_transpose : conv)(d, x.data, packed.data, y.data, e, scratch.data, pool_);
           });
  }

 private:
  bool skip(const std::string& name) const { return name.find(o_.filter) == std::string::npos; }
  template <class F>
  void report(const std::string& name, double flops, double bytes, const F& f) {
    const double t = best_seconds(o_.seconds, f);
    const double rate = flops / t * 1e-9;
    std::printf("%-48s %9.1f us %8.1f GFLOP/s %5.1f%% %6.1f GB/s\n", name.c_str(), t * 1e6, rate,
                100 * rate / peak_, bytes / t * 1e-9);
    std::fflush(stdout);
  }

  Options o_;
  ThreadPool pool_;
  double peak_ = 1;
};

int run(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a.rfind("--threads=", 0) == 0) {
      o.threads = std::max(1, std::atoi(a.c_str() + 10));
    } else if (a.rfind("--filter=", 0) == 0) {
      o.filter = a.substr(9);
    } else if (a.rfind("--seconds=", 0) == 0) {
      o.seconds = std::atof(a.c_str() + 10);
    } else if (a.rfind("--isa=", 0) == 0) {
      bool found = false;
      for (Isa isa : supported_isas()) {
        if (isa_name(isa) == a.substr(6)) o.isa = isa, found = true;
      }
      if (!found) {
        std::fprintf(stderr, "this machine has no %s; known: baseline, avx2, avx512\n", a.c_str() + 6);
        return 2;
      }
    } else {
      std::fprintf(stderr, "usage: kernels_cpu [--threads=N] [--isa=NAME] [--filter=TEXT] [--seconds=S]\n");
      return 2;
    }
  }
  g_own_time = o.threads == 1;
  Bench b(o);
  for (int64_t n : {64, 128, 256, 512, 768, 1024, 2048}) b.gemm_case(n, n, n, true);
  b.gemm_case(512, 512, 512, false);
  b.gemm_case(1024, 1024, 1024, false);
  b.gemm_case(1024, 1024, 1024, false, true);
  b.gemm_case(128, 3072, 768, true);
  b.gemm_case(128, 768, 3072, true);
  for (Activation act : {Activation::relu, Activation::silu, Activation::hard_swish, Activation::gelu_erf,
                         Activation::gelu_tanh, Activation::tanh}) {
    b.gemm_case(1024, 256, 64, true, false, 1, act);
  }
  b.gemm_case(384, 384, 64, false, true, 16);
  b.gemm_case(384, 64, 384, false, false, 16);
  b.gemm_case(128, 128, 64, false, true, 12);
  b.gemm_case(128, 64, 128, false, false, 12);
  for (int64_t m : {1, 2, 4, 8, 16}) b.gemm_case(m, 1000, 2048, true);
  for (int64_t m : {1, 4}) b.gemm_case(m, 4096, 4096, true);
  b.gemm_case(1, 512, 64, false, true, 16);
  b.gemm_case(1, 64, 512, false, false, 16);
  b.conv_case("resnet50", 224, 3, 64, 7, 2, 1, true);
  b.conv_case("resnet50", 224, 3, 64, 7, 2);
  b.conv_case("resnet50", 56, 64, 64, 1, 1);
  b.conv_case("resnet50", 56, 64, 64, 3, 1);
  b.conv_case("resnet50", 56, 64, 256, 1, 1);
  b.conv_case("resnet50", 56, 256, 64, 1, 1);
  b.conv_case("resnet50", 56, 128, 128, 3, 2);
  b.conv_case("resnet50", 56, 256, 512, 1, 2);
  b.conv_case("resnet50", 28, 128, 128, 3, 1);
  b.conv_case("resnet50", 28, 128, 512, 1, 1);
  b.conv_case("resnet50", 28, 512, 128, 1, 1);
  b.conv_case("resnet50", 14, 256, 256, 3, 1);
  b.conv_case("resnet50", 14, 256, 1024, 1, 1);
  b.conv_case("resnet50", 14, 1024, 256, 1, 1);
  b.conv_case("resnet50", 7, 512, 512, 3, 1);
  b.conv_case("resnet50", 7, 512, 2048, 1, 1);
  b.conv_case("resnet50", 7, 2048, 512, 1, 1);
  b.conv_case("mobilenet", 224, 3, 32, 3, 2, 1, true);
  b.conv_case("mobilenet", 224, 3, 32, 3, 2);
  b.conv_case("mobilenet", 112, 32, 32, 3, 1, 32);
  b.conv_case("mobilenet", 112, 32, 16, 1, 1);
  b.conv_case("mobilenet", 112, 16, 96, 1, 1);
  b.conv_case("mobilenet", 112, 96, 96, 3, 2, 96);
  b.conv_case("mobilenet", 56, 96, 24, 1, 1);
  b.conv_case("mobilenet", 56, 24, 144, 1, 1);
  b.conv_case("mobilenet", 56, 144, 144, 3, 1, 144);
  b.conv_case("mobilenet", 28, 192, 192, 3, 1, 192);
  b.conv_case("mobilenet", 14, 384, 64, 1, 1);
  b.conv_case("mobilenet", 14, 384, 384, 3, 1, 384);
  b.conv_case("mobilenet", 14, 576, 96, 1, 1);
  b.conv_case("mobilenet", 7, 960, 960, 3, 1, 960);
  b.conv_case("mobilenet", 7, 960, 160, 1, 1);
  b.conv_case("mobilenet", 7, 320, 1280, 1, 1);
  b.conv_case("efficientnet", 56, 144, 144, 5, 2, 144);
  b.conv_case("efficientnet", 14, 480, 480, 5, 1, 480);
  b.conv_case("resnext", 56, 128, 128, 3, 1, 32);
  b.conv_case("unet", 28, 256, 128, 2, 2, 1, false, true);
  b.conv_case("unet", 28, 256, 128, 4, 2, 1, false, true);
  return 0;
}

}  // namespace
}  // namespace tenon::cpu

int main(int argc, char** argv) {
  return tenon::cpu::run(argc, argv);
}

#endif  // HWY_ONCE
