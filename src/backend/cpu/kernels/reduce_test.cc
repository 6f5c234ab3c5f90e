#include "backend/cpu/kernels/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace tenon::cpu {
namespace {

double start(ReduceOp op) {
  return op == ReduceOp::prod ? 1 : op == ReduceOp::max || op == ReduceOp::log_sum_exp ? -INFINITY : op == ReduceOp::min ? INFINITY : 0;
}
double join(ReduceOp op, double a, double v) {
  switch (op) {
    case ReduceOp::max: return std::isnan(a) || std::isnan(v) ? NAN : std::max(a, v);
    case ReduceOp::min: return std::isnan(a) || std::isnan(v) ? NAN : std::min(a, v);
    case ReduceOp::prod: return a * v;
    case ReduceOp::l1: return a + std::fabs(v);
    case ReduceOp::l2:
    case ReduceOp::sum_square: return a + v * v;
    case ReduceOp::log_sum_exp: {
      if (std::isnan(a) || std::isnan(v)) return NAN;
      const double m = std::max(a, v);
      return std::isinf(m) ? m : m + std::log(std::exp(a - m) + std::exp(v - m));
    }
    default: return a + v;
  }
}
double finish(ReduceOp op, double v, double n) {
  return op == ReduceOp::mean ? v / n : op == ReduceOp::l2 ? std::sqrt(v) : op == ReduceOp::log_sum ? std::log(v) : v;
}

void check(ReduceOp op, DType t, const Shape& shape, std::vector<int64_t> axes, bool special = false) {
  Tensor x = Tensor::make(t, shape);
  std::mt19937 rng(5);
  std::uniform_real_distribution<double> u(op == ReduceOp::log_sum ? 0.1 : -2, 2);
  std::uniform_int_distribution<int> whole(is_unsigned_int(t) ? 0 : -3, 3);
  for (int64_t i = 0; i < x.size(); ++i) {
    if (is_float(t)) store_double(t, x.data(), i, special && i % 41 == 0 ? (i % 3 ? INFINITY : NAN) : u(rng));
    else store_int(t, x.data(), i, whole(rng));
  }
  Shape out;
  std::vector<bool> reduced(shape.size(), false);
  for (int64_t a : axes) reduced[size_t(a)] = true;
  double count = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (reduced[d]) count *= double(shape[d]);
    else out.push_back(shape[d]);
  }
  const int64_t n = num_elements(out);
  std::vector<double> want(size_t(n), start(op)), size(size_t(n), 0);
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, at = 0, scale = 1;
    for (size_t d = shape.size(); d-- > 0; rest /= shape[d])
      if (!reduced[d]) at += rest % shape[d] * scale, scale *= shape[d];
    const double v = load_double(t, x.data(), i);
    want[size_t(at)] = join(op, want[size_t(at)], v);
    size[size_t(at)] += std::fabs(v);
  }
  auto plan = ReducePlan::make({op, t, shape, axes});
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  std::vector<std::vector<char>> seen;
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<char> scratch(plan.value().scratch_bytes());
    Tensor y = Tensor::make(t, out);
    plan.value().run(pool, x.data(), y.data(), scratch.data());
    const auto* bytes = static_cast<const char*>(y.data());
    seen.emplace_back(bytes, bytes + byte_size(t, n));
    const double unit = t == DType::f16 ? 1e-3 : t == DType::bf16 ? 8e-3 : t == DType::f64 ? 1e-14 : 3e-7;
    for (int64_t i = 0; i < n; ++i) {
      const double w = finish(op, want[size_t(i)], count), g = load_double(t, y.data(), i);
      if (!is_float(t)) {
        ASSERT_EQ(int64_t(w), int64_t(g)) << int(op) << " " << name(t);
      } else if (std::isnan(w)) {
        ASSERT_TRUE(std::isnan(g)) << int(op);
      } else if (w != g) {
        ASSERT_LE(std::fabs(w - g), unit * (std::fabs(w) + (op == ReduceOp::prod ? 0 : finish(op == ReduceOp::mean ? op : ReduceOp::sum, size[size_t(i)], count))) + 1e-30)
            << int(op) << " " << name(t) << " at " << i << " want " << w << " got " << g;
      }
    }
  }
  EXPECT_EQ(seen[0], seen[1]);
}

const ReduceOp kAll[] = {ReduceOp::sum, ReduceOp::mean, ReduceOp::max, ReduceOp::min, ReduceOp::prod, ReduceOp::l1, ReduceOp::l2, ReduceOp::sum_square, ReduceOp::log_sum, ReduceOp::log_sum_exp};

TEST(Reduce, AllOpsAndAxes) {
  for (ReduceOp op : kAll)
    for (DType t : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8, DType::i8}) {
      if (!is_float(t) && (op == ReduceOp::mean || op == ReduceOp::l2 || op == ReduceOp::log_sum || op == ReduceOp::log_sum_exp)) continue;
      if (t == DType::f64 && op == ReduceOp::log_sum_exp) continue;
      if ((t == DType::u8 || t == DType::i8) && op != ReduceOp::max && op != ReduceOp::min) continue;
      for (auto& [shape, axes] : std::initializer_list<std::pair<Shape, std::vector<int64_t>>>{
               {{7}, {0}}, {{3, 17}, {1}}, {{3, 17}, {0}}, {{5, 3, 70}, {1}}, {{2, 3, 4, 5}, {0, 2}}, {{2, 3, 4, 5}, {1, 3}}, {{4, 5}, {}}, {{}, {}}, {{2, 1, 9}, {1}}, {{6, 130}, {0, 1}}})
        check(op, t, shape, axes);
    }
}
TEST(Reduce, Large) {
  for (ReduceOp op : {ReduceOp::sum, ReduceOp::mean, ReduceOp::max, ReduceOp::l2, ReduceOp::log_sum_exp}) {
    check(op, DType::f32, {300001}, {0});
    check(op, DType::f32, {3, 100003}, {1});
    check(op, DType::f32, {20011, 9}, {0});
    check(op, DType::f32, {2000, 100}, {0});
    check(op, DType::f32, {4, 33, 49, 50}, {0, 2, 3});
    check(op, DType::f16, {5, 3000, 11}, {1});
  }
  check(ReduceOp::sum, DType::i32, {400000}, {0});
}
TEST(Reduce, NanAndInf) {
  for (ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min, ReduceOp::log_sum_exp}) {
    check(op, DType::f32, {10, 50}, {1}, true);
    check(op, DType::f32, {50, 37}, {0}, true);
  }
}
TEST(Reduce, Empty) {
  for (ReduceOp op : {ReduceOp::sum, ReduceOp::prod, ReduceOp::max, ReduceOp::min, ReduceOp::sum_square}) {
    check(op, DType::f32, {3, 0}, {1});
    check(op, DType::f32, {0, 3}, {0});
    check(op, DType::f32, {0, 3}, {1});
  }
}

TEST(ArgReduce, All) {
  std::mt19937 rng(3);
  for (DType t : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8, DType::i8})
    for (int64_t outer : {1, 3})
      for (int64_t n : {1, 2, 17, 100, 1000})
        for (int64_t inner : {1, 5, 70})
          for (bool max : {true, false})
            for (bool last : {true, false}) {
              Tensor x = Tensor::make(t, {outer, n, inner});
              for (int64_t i = 0; i < x.size(); ++i) {
                if (is_float(t)) store_double(t, x.data(), i, rng() % 30 == 0 ? NAN : double(rng() % 20) - 10);
                else store_int(t, x.data(), i, int64_t(rng() % 20));
              }
              std::vector<int64_t> y(size_t(outer * inner), -1);
              ThreadPool pool(2);
              arg_reduce(pool, {max, last, t, outer, n, inner}, x.data(), y.data());
              for (int64_t o = 0; o < outer; ++o)
                for (int64_t j = 0; j < inner; ++j) {
                  int64_t at = 0;
                  double best = NAN;
                  for (int64_t i = 0; i < n; ++i) {
                    const double v = load_double(t, x.data(), (o * n + i) * inner + j);
                    const double key = std::isnan(v) ? INFINITY : v;
                    if (i == 0 || (max ? key > best : key < best) || (last && key == best)) best = key, at = i;
                  }
                  ASSERT_EQ(y[size_t(o * inner + j)], at) << name(t) << n << " " << inner << max << last;
                }
            }
}

}  // namespace
}  // namespace tenon::cpu
