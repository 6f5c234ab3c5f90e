#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/peak.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "backend/cpu/kernels/micro.h"
#include "backend/cpu/kernels/peak.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// Enough independent sums to hide the latency of two units.
constexpr int kSums = 12;

// `rounds` multiply-adds of each sum; returns the flop done. The result goes to `sink`, so that the work is not left out.
double multiply_add(int64_t rounds, float* sink) {
  const DF d;
  VF sum[kSums];
  TENON_UNROLL
  for (int i = 0; i < kSums; ++i) sum[i] = hn::Set(d, float(i));
  const VF a = hn::Set(d, 0.999f), b = hn::Set(d, 0.001f);
  for (int64_t r = 0; r < rounds; ++r) {
    TENON_UNROLL
    for (int i = 0; i < kSums; ++i) sum[i] = hn::MulAdd(sum[i], a, b);
  }
  TENON_UNROLL
  for (int i = 1; i < kSums; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  *sink = hn::GetLane(sum[0]);
  return 2.0 * kSums * double(hn::Lanes(d)) * double(rounds);
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(multiply_add);

namespace {
template <class F>
double seconds(F f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}
}  // namespace

MeasuredPeaks measure_peaks(ThreadPool& pool) {
  const int64_t threads = pool.threads();
  constexpr int kRounds = 5;
  constexpr int64_t kMultiplyAdds = 400000;
  MeasuredPeaks peaks;
  std::vector<double> flop(static_cast<size_t>(threads));
  std::vector<float> sinks(static_cast<size_t>(threads));
  for (int round = 0; round < kRounds; ++round) {
    const double took = seconds([&] {
      pool.parallel_for(threads, [&](int64_t t, int) { flop[size_t(t)] = HWY_DYNAMIC_DISPATCH(multiply_add)(kMultiplyAdds, &sinks[size_t(t)]); });
    });
    double sum = 0;
    for (double f : flop) sum += f;
    peaks.flops = std::max(peaks.flops, sum / took);
  }

  // More than a core's caches hold, but not the machine's memory.
  const size_t each = std::clamp<size_t>((size_t(256) << 20) / size_t(threads), size_t(4) << 20, size_t(32) << 20);
  const std::unique_ptr<char[]> from(new (std::nothrow) char[each * size_t(threads)]), to(new (std::nothrow) char[each * size_t(threads)]);
  if (!from || !to) return peaks;
  const auto on_all = [&](auto f) { pool.parallel_for(threads, [&](int64_t t, int) { f(from.get() + size_t(t) * each, to.get() + size_t(t) * each); }); };
  on_all([&](char* a, char* b) { std::memset(a, 1, each), std::memset(b, 2, each); });
  for (int round = 0; round < kRounds; ++round) {
    const double took = seconds([&] { on_all([&](char* a, char* b) { std::memcpy(b, a, each); }); });
    peaks.bytes = std::max(peaks.bytes, 2.0 * double(each) * double(threads) / took);
  }
  return peaks;
}

}  // namespace tenon::cpu
#endif
