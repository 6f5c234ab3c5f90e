#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/reduce.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/reduce.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

using Pass = ReducePlan::Pass;

// How elements join: what each becomes, the neutral element, and the joining itself.
struct Sum {
  static constexpr bool kSum = true;
  template <class V> static HWY_INLINE V map(V x) { return x; }
  template <class D> static HWY_INLINE hn::VFromD<D> zero(D d) { return hn::Zero(d); }
  template <class V> static HWY_INLINE V join(V a, V x) { return hn::Add(a, x); }
  static double join1(double a, double b) { return a + b; }
  static constexpr float kZero = 0;
};
struct SumAbs : Sum {
  template <class V> static HWY_INLINE V map(V x) { return hn::Abs(x); }
};
struct SumSquare : Sum {
  template <class V> static HWY_INLINE V map(V x) { return hn::Mul(x, x); }
};
struct Prod {
  static constexpr bool kSum = false;
  template <class V> static HWY_INLINE V map(V x) { return x; }
  template <class D> static HWY_INLINE hn::VFromD<D> zero(D d) { return hn::Set(d, 1.0f); }
  template <class V> static HWY_INLINE V join(V a, V x) { return hn::Mul(a, x); }
  static double join1(double a, double b) { return a * b; }
  static constexpr float kZero = 1;
};
struct Max {
  static constexpr bool kSum = false;
  template <class V> static HWY_INLINE V map(V x) { return x; }
  template <class D> static HWY_INLINE hn::VFromD<D> zero(D d) { return hn::Neg(hn::Inf(d)); }
  // A NaN in the second operand is given back by the instruction; one in the first must be kept.
  template <class V> static HWY_INLINE V join(V a, V x) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, x)); }
  static double join1(double a, double b) { return std::isnan(a) || a > b ? a : b; }
  static constexpr float kZero = -std::numeric_limits<float>::infinity();
};
struct Min {
  static constexpr bool kSum = false;
  template <class V> static HWY_INLINE V map(V x) { return x; }
  template <class D> static HWY_INLINE hn::VFromD<D> zero(D d) { return hn::Inf(d); }
  template <class V> static HWY_INLINE V join(V a, V x) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Min(a, x)); }
  static double join1(double a, double b) { return std::isnan(a) || a < b ? a : b; }
  static constexpr float kZero = std::numeric_limits<float>::infinity();
};

// One vector's lanes joined, in a fixed order.
template <class J>
HWY_INLINE double join_lanes(VF v) {
  const DF d;
  if constexpr (J::kSum) return double(hn::GetLane(hn::SumOfLanes(d, v)));
  if constexpr (std::is_same_v<J, Max> || std::is_same_v<J, Min>) {
    if (!hn::AllFalse(d, hn::IsNaN(v))) return std::numeric_limits<double>::quiet_NaN();
    return double(hn::GetLane(std::is_same_v<J, Max> ? hn::MaxOfLanes(d, v) : hn::MinOfLanes(d, v)));
  }
  HWY_ALIGN float lanes[HWY_LANES(float)];
  hn::Store(v, d, lanes);
  double all = J::kZero;
  for (float lane : lanes) all = J::join1(all, double(lane));
  return all;
}

// A row of n adjacent elements: blocks of four accumulators, joined in double.
template <class J, class T>
double reduce_row(const T* x, int64_t n) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  if (J::kSum && n > 4096) {
    double total = 0;
    for (int64_t i = 0; i < n; i += 4096) total += reduce_row<J>(x + i, std::min<int64_t>(4096, n - i));
    return total;
  }
  VF a = J::zero(d), b = a, c = a, e = a;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = J::join(a, J::map(load_f32(d, x + i)));
    b = J::join(b, J::map(load_f32(d, x + i + lanes)));
    c = J::join(c, J::map(load_f32(d, x + i + 2 * lanes)));
    e = J::join(e, J::map(load_f32(d, x + i + 3 * lanes)));
  }
  for (; i + lanes <= n; i += lanes) a = J::join(a, J::map(load_f32(d, x + i)));
  if (i < n) {
    const size_t r = size_t(n - i);
    b = J::join(b, hn::IfThenElse(hn::FirstN(d, r), J::map(load_f32_n(d, x + i, r)), J::zero(d)));
  }
  return join_lanes<J>(J::join(J::join(a, b), J::join(c, e)));
}

// log(sum(exp)) of a row, safe by its maximum.
template <class T>
double log_sum_exp_row(const T* x, int64_t n) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const double top = reduce_row<Max>(x, n);
  if (!std::isfinite(top)) return top;
  const VF m = hn::Set(d, float(top));
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    const int64_t end = std::min(n, begin + 4096);
    VF a = hn::Zero(d);
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) a = hn::Add(a, exp_nonpositive(d, hn::Sub(load_f32(d, x + i), m)));
    if (i < end) {
      const size_t r = size_t(end - i);
      a = hn::Add(a, hn::IfThenElseZero(hn::FirstN(d, r), exp_nonpositive(d, hn::Sub(load_f32_n(d, x + i, r), m))));
    }
    total += join_lanes<Sum>(a);
  }
  return top + std::log(total);
}

double finish_one(const Pass& p, double v) {
  switch (p.finish) {
    case ReduceOp::mean: return v / p.count;
    case ReduceOp::l2: return std::sqrt(v);
    case ReduceOp::log_sum: return std::log(v);
    default: return v;
  }
}
HWY_INLINE VF finish_vector(const Pass& p, VF v) {
  const DF d;
  switch (p.finish) {
    case ReduceOp::mean: return hn::Div(v, hn::Set(d, float(p.count)));
    case ReduceOp::l2: return hn::Sqrt(v);
    case ReduceOp::log_sum: return log_f32(d, v);
    default: return v;
  }
}

template <class T>
HWY_INLINE void put(T* y, double v) {
  const float f = float(v);
  if constexpr (std::is_same_v<T, float>) {
    *y = f;
  } else {
    const uint16_t raw = std::is_same_v<T, float16_t> ? f32_to_f16(f) : f32_to_bf16(f);
    std::memcpy(static_cast<void*>(y), &raw, 2);
  }
}

// kVectors adjacent vectors of columns over rows [begin, end); the last is partial when r > 0.
template <class J, int kVectors, class T>
HWY_INLINE void columns(const Pass& p, const T* x, int64_t begin, int64_t end, VF* acc, size_t r) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  VF total[kVectors];
  for (int v = 0; v < kVectors; ++v) total[v] = J::zero(d);
  for (int64_t b = begin; b < end; b += 256) {  // blocks keep the rounding error of long sums small
    VF a[kVectors];
    for (int v = 0; v < kVectors; ++v) a[v] = J::zero(d);
    const int64_t e = std::min(end, b + 256);
    for (int64_t i = b; i < e; ++i) {
      const T* row = x + i * p.inner;
      for (int v = 0; v < kVectors; ++v) {
        const VF value = r && v == kVectors - 1 ? load_f32_n(d, row + v * lanes, r) : load_f32(d, row + v * lanes);
        a[v] = J::join(a[v], J::map(value));
      }
    }
    for (int v = 0; v < kVectors; ++v) total[v] = J::join(total[v], a[v]);
  }
  for (int v = 0; v < kVectors; ++v) acc[v] = total[v];
}
template <int kVectors, class T>
HWY_INLINE void columns_log_sum_exp(const Pass& p, const T* x, int64_t begin, int64_t end, VF* acc, size_t r) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  columns<Max, kVectors>(p, x, begin, end, acc, r);
  for (int v = 0; v < kVectors; ++v) {
    const auto finite = hn::Lt(hn::Abs(acc[v]), hn::Inf(d));
    VF sum = hn::Zero(d);
    for (int64_t i = begin; i < end; ++i) {
      const T* at = x + i * p.inner + v * lanes;
      const VF value = r && v == kVectors - 1 ? load_f32_n(d, at, r) : load_f32(d, at);
      sum = hn::Add(sum, exp_nonpositive(d, hn::Sub(value, acc[v])));
    }
    acc[v] = hn::IfThenElse(finite, hn::Add(acc[v], log_f32(d, sum)), acc[v]);
  }
}

// J = void: log_sum_exp.
template <class J, class T, class R>
void run_float(ThreadPool& pool, const Pass& p, const T* x, R* y) {
  if (p.inner == 1) {
    parallel_ranges(pool, p.outer * p.chunks, p.reduce / p.chunks + 8, [&](int64_t begin, int64_t end, int) HWY_ATTR {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t o = t / p.chunks, c = t % p.chunks;
        const int64_t from = p.reduce * c / p.chunks, to = p.reduce * (c + 1) / p.chunks;
        const T* row = x + o * p.reduce + from;
        double v;
        if constexpr (std::is_void_v<J>) v = log_sum_exp_row(row, to - from);
        else v = reduce_row<J>(row, to - from);
        put(y + t, finish_one(p, v));
      }
    });
    return;
  }
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const int64_t strip = 4 * 16;  // columns per task, the same for all targets
  const int64_t strips = (p.inner + strip - 1) / strip;
  parallel_ranges(pool, p.outer * p.chunks * strips, p.reduce / p.chunks * std::min(strip, p.inner) + 8,
                  [&](int64_t begin, int64_t end, int) HWY_ATTR {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t s = t % strips, oc = t / strips, c = oc % p.chunks, o = oc / p.chunks;
      const int64_t from = p.reduce * c / p.chunks, to = p.reduce * (c + 1) / p.chunks;
      const int64_t last = std::min(p.inner, (s + 1) * strip);
      auto go = [&](auto count, int64_t i, size_t r) HWY_ATTR {
        constexpr int kVectors = decltype(count)::value;
        const T* in = x + o * p.reduce * p.inner + i;
        R* out = y + oc * p.inner + i;
        VF acc[kVectors];
        if constexpr (std::is_void_v<J>) columns_log_sum_exp<kVectors>(p, in, from, to, acc, r);
        else columns<J, kVectors>(p, in, from, to, acc, r);
        for (int v = 0; v < kVectors; ++v) {
          const VF value = finish_vector(p, acc[v]);
          if (r && v == kVectors - 1) store_f32_n(value, d, out + v * lanes, r);
          else store_f32(value, d, out + v * lanes);
        }
      };
      int64_t i = s * strip;
      for (; i + 4 * lanes <= last; i += 4 * lanes) go(std::integral_constant<int, 4>(), i, 0);
      for (; i + lanes <= last; i += lanes) go(std::integral_constant<int, 1>(), i, 0);
      if (i < last) go(std::integral_constant<int, 1>(), i, size_t(last - i));
    }
  });
}

template <class T, class R>
void run_float_op(ThreadPool& pool, const Pass& p, const void* x, void* y) {
  const auto* in = static_cast<const T*>(x);
  auto* out = static_cast<R*>(y);
  switch (p.op) {
    case ReduceOp::max: return run_float<Max>(pool, p, in, out);
    case ReduceOp::min: return run_float<Min>(pool, p, in, out);
    case ReduceOp::prod: return run_float<Prod>(pool, p, in, out);
    case ReduceOp::l1: return run_float<SumAbs>(pool, p, in, out);
    case ReduceOp::sum_square: return run_float<SumSquare>(pool, p, in, out);
    case ReduceOp::log_sum_exp: return run_float<void>(pool, p, in, out);
    default: return run_float<Sum>(pool, p, in, out);
  }
}
template <class T>
void run_float_type(ThreadPool& pool, const Pass& p, const void* x, void* y) {
  if (p.from_wide && p.to_wide) return run_float_op<float, float>(pool, p, x, y);
  if (p.from_wide) return run_float_op<float, T>(pool, p, x, y);
  if (p.to_wide) return run_float_op<T, float>(pool, p, x, y);
  return run_float_op<T, T>(pool, p, x, y);
}

// ---- other types: plain loops over strips of columns, left to the compiler ------------------------------------------

template <class W>
HWY_INLINE W widen_map(ReduceOp op, W v) {
  using U = std::conditional_t<std::is_floating_point_v<W>, W, uint64_t>;
  switch (op) {
    case ReduceOp::l1: return v < 0 ? W(U(0) - U(v)) : v;
    case ReduceOp::sum_square: return W(U(v) * U(v));
    default: return v;
  }
}
template <ReduceOp kOp, class W>
HWY_INLINE W widen_join(W a, W v) {
  using U = std::conditional_t<std::is_floating_point_v<W>, W, uint64_t>;
  v = widen_map(kOp, v);
  if constexpr (kOp == ReduceOp::max) return a != a || a > v ? a : v;
  else if constexpr (kOp == ReduceOp::min) return a != a || a < v ? a : v;
  else if constexpr (kOp == ReduceOp::prod) return W(U(a) * U(v));
  else return W(U(a) + U(v));
}
template <ReduceOp kOp, class T, class R, class W>
void run_plain(ThreadPool& pool, const Pass& p, const T* x, R* y) {
  W first = 0;
  if (kOp == ReduceOp::prod) first = 1;
  // The identity of max and min is an end of the narrow type's range.
  using Range = std::conditional_t<std::is_same_v<R, W>, T, R>;
  using Limits = std::numeric_limits<Range>;
  if (kOp == ReduceOp::max) first = Limits::has_infinity ? W(-Limits::infinity()) : W(Limits::lowest());
  if (kOp == ReduceOp::min) first = Limits::has_infinity ? W(Limits::infinity()) : W(Limits::max());
  constexpr int64_t kStrip = 64;
  const int64_t strips = (p.inner + kStrip - 1) / kStrip;
  parallel_ranges(pool, p.outer * p.chunks * strips, p.reduce / p.chunks * std::min(kStrip, p.inner) + 8,
                  [&](int64_t begin, int64_t end, int) HWY_ATTR {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t s = t % strips, oc = t / strips, c = oc % p.chunks, o = oc / p.chunks;
      const int64_t from = p.reduce * c / p.chunks, to = p.reduce * (c + 1) / p.chunks;
      const int64_t width = std::min(kStrip, p.inner - s * kStrip);
      const T* in = x + o * p.reduce * p.inner + s * kStrip;
      R* out = y + oc * p.inner + s * kStrip;
      W acc[kStrip];
      std::fill(acc, acc + kStrip, first);
      if (p.inner == 1 && !std::is_floating_point_v<W>) {  // order does not matter: the compiler makes vectors of it
        W a = first;
        for (int64_t i = from; i < to; ++i) a = widen_join<kOp>(a, W(in[i]));
        acc[0] = a;
      } else if (p.inner == 1) {  // eight running results stand in for columns
        int64_t i = from;
        for (; i + 8 <= to; i += 8)
          for (int j = 0; j < 8; ++j) acc[j] = widen_join<kOp>(acc[j], W(in[i + j]));
        for (; i < to; ++i) acc[0] = widen_join<kOp>(acc[0], W(in[i]));
        constexpr ReduceOp kJoin = kOp == ReduceOp::max || kOp == ReduceOp::min || kOp == ReduceOp::prod ? kOp : ReduceOp::sum;
        for (int j = 1; j < 8; ++j) acc[0] = widen_join<kJoin>(acc[0], acc[j]);
      } else {
        for (int64_t i = from; i < to; ++i)
          for (int64_t j = 0; j < width; ++j) acc[j] = widen_join<kOp>(acc[j], W(in[i * p.inner + j]));
      }
      for (int64_t j = 0; j < width; ++j) {
        if (p.finish == ReduceOp::mean && !std::is_floating_point_v<W>) acc[j] = p.count > 0 ? W(acc[j] / W(p.count)) : W(0);
        else if (p.finish != p.op && p.finish != ReduceOp::sum) acc[j] = W(finish_one(p, double(acc[j])));
        out[j] = R(acc[j]);
      }
    }
  });
}
template <class T, class R, class W>
void run_plain_op(ThreadPool& pool, const Pass& p, const void* x, void* y) {
  const auto* in = static_cast<const T*>(x);
  auto* out = static_cast<R*>(y);
  switch (p.op) {
    case ReduceOp::max: return run_plain<ReduceOp::max, T, R, W>(pool, p, in, out);
    case ReduceOp::min: return run_plain<ReduceOp::min, T, R, W>(pool, p, in, out);
    case ReduceOp::prod: return run_plain<ReduceOp::prod, T, R, W>(pool, p, in, out);
    case ReduceOp::l1: return run_plain<ReduceOp::l1, T, R, W>(pool, p, in, out);
    case ReduceOp::sum_square: return run_plain<ReduceOp::sum_square, T, R, W>(pool, p, in, out);
    default: return run_plain<ReduceOp::sum, T, R, W>(pool, p, in, out);
  }
}
template <class T, class W>
void run_plain_type(ThreadPool& pool, const Pass& p, const void* x, void* y) {
  if (p.from_wide && p.to_wide) return run_plain_op<W, W, W>(pool, p, x, y);
  if (p.from_wide) return run_plain_op<W, T, W>(pool, p, x, y);
  if (p.to_wide) return run_plain_op<T, W, W>(pool, p, x, y);
  return run_plain_op<T, T, W>(pool, p, x, y);
}

void run_pass(ThreadPool& pool, DType type, const Pass& p, const void* x, void* y) {
  switch (type) {
    case DType::f32: return run_float_op<float, float>(pool, p, x, y);
    case DType::f16: return run_float_type<float16_t>(pool, p, x, y);
    case DType::bf16: return run_float_type<bfloat16_t>(pool, p, x, y);
    case DType::f64: return run_plain_op<double, double, double>(pool, p, x, y);
    case DType::i32: return run_plain_type<int32_t, int64_t>(pool, p, x, y);
    case DType::i64: return run_plain_op<int64_t, int64_t, int64_t>(pool, p, x, y);
    case DType::u8: return run_plain_type<uint8_t, int64_t>(pool, p, x, y);
    case DType::i8: return run_plain_type<int8_t, int64_t>(pool, p, x, y);
    default: return;
  }
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(run_pass);

static bool is_half(DType t) { return t == DType::f16 || t == DType::bf16; }

Result<ReducePlan> ReducePlan::make(const ReduceDesc& desc) {
  constexpr DTypeSet held{DType::f32, DType::f16, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8, DType::i8};
  if (!held.contains(desc.type)) return unsupported("reduction kernels do not hold type ", name(desc.type));
  if (desc.op == ReduceOp::log_sum_exp && desc.type != DType::f32 && !is_half(desc.type))
    return unsupported("the kernel for log_sum_exp does not hold type ", name(desc.type));
  ReducePlan plan;
  plan.type_ = desc.type;
  // Groups of neighbouring dims that are all kept or all reduced: kept, reduced, kept, …
  std::vector<bool> reduced(desc.shape.size(), false);
  for (int64_t a : desc.axes) reduced[size_t(a)] = true;
  Shape groups{1};
  bool current = false;
  int64_t count = 1;
  plan.size_ = 1;
  for (size_t d = 0; d < desc.shape.size(); ++d) {
    plan.size_ *= reduced[d] ? 1 : desc.shape[d];
    count *= reduced[d] ? desc.shape[d] : 1;
    if (desc.shape[d] == 1) continue;
    if (reduced[d] != current) groups.push_back(1), current = reduced[d];
    groups.back() *= desc.shape[d];
  }
  if (groups.size() % 2 == 0) groups.push_back(1);  // ends with a kept group
  if (groups.size() == 1) groups = {groups[0], 1, 1};

  ReduceOp first = desc.op, later = desc.op;
  switch (desc.op) {
    case ReduceOp::mean:
    case ReduceOp::log_sum: first = later = ReduceOp::sum; break;
    case ReduceOp::l1: later = ReduceOp::sum; break;
    case ReduceOp::l2:
    case ReduceOp::sum_square: first = ReduceOp::sum_square, later = ReduceOp::sum; break;
    default: break;
  }
  // The last reduced group goes first, so that the data shrinks along the fastest dims.
  while (groups.size() > 1) {
    const size_t g = groups.size();
    Pass p;
    p.inner = groups[g - 1];
    p.reduce = groups[g - 2];
    for (size_t i = 0; i + 2 < g; ++i) p.outer *= groups[i];
    p.op = plan.passes_.empty() ? first : later;
    // Few results of long reductions are cut along the reduction to give every thread work.
    const int64_t results = p.outer * p.inner;
    if (results > 0 && results <= 1024 && p.reduce * results >= 131072)
      p.chunks = std::min<int64_t>({64, p.reduce / 16, std::max<int64_t>(1, 256 / results), p.reduce * results / 32768});
    p.chunks = std::max<int64_t>(p.chunks, 1);
    plan.passes_.push_back(p);
    if (p.chunks > 1) {
      Pass join = p;
      join.reduce = p.chunks, join.chunks = 1, join.op = later;
      plan.passes_.push_back(join);
    }
    groups.resize(g - 2);
    groups.back() *= p.inner;
    if (groups.size() == 1) break;
  }
  Pass& last = plan.passes_.back();
  last.finish = desc.op;
  last.count = double(count);
  const size_t wide = desc.type == DType::f32 || is_half(desc.type) ? 4 : 8;
  for (size_t i = 0; i + 1 < plan.passes_.size(); ++i) {
    Pass& p = plan.passes_[i];
    p.to_wide = plan.passes_[i + 1].from_wide = true;
    p.offset = plan.scratch_bytes_;
    plan.scratch_bytes_ += round_up(size_t(p.outer * p.chunks * p.inner) * wide, 64);
  }
  plan.scratch_bytes_ += 64;
  return plan;
}

void ReducePlan::run(ThreadPool& pool, const void* x, void* y, void* scratch) const {
  if (size_ == 0) return;
  char* base = align64(scratch);
  const void* from = x;
  for (size_t i = 0; i < passes_.size(); ++i) {
    void* to = i + 1 == passes_.size() ? y : base + passes_[i].offset;
    HWY_DYNAMIC_DISPATCH(run_pass)(pool, type_, passes_[i], from, to);
    from = to;
  }
}

}  // namespace tenon::cpu
#endif
