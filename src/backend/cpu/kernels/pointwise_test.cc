#include "backend/cpu/kernels/pointwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "ops/common/pointwise.h"

namespace tenon::cpu {
namespace {

// The reference: run_scalar on doubles and int64, one element at a time through broadcast strides.
std::vector<Tensor> reference(const ScalarProgram& program, const std::vector<Tensor>& in, const Shape& shape) {
  const int64_t n = num_elements(shape);
  std::vector<Shape> strides;
  for (auto& t : in) strides.push_back(t ? broadcast_strides(t.shape(), shape) : Shape(shape.size(), 0));
  std::vector<std::vector<int64_t>> words(in.size(), std::vector<int64_t>(size_t(n)));
  Walker walk(shape, strides);
  for (int64_t e = 0; e < n; ++e, walk.next())
    for (size_t i = 0; i < in.size(); ++i) {
      if (!in[i]) continue;
      const DType t = in[i].dtype();
      if (is_float(t)) load_doubles(t, in[i].data(), walk.offset(i), 1, reinterpret_cast<double*>(&words[i][size_t(e)]));
      else load_ints(t, in[i].data(), walk.offset(i), 1, &words[i][size_t(e)]);
    }
  std::vector<const void*> ip;
  for (auto& w : words) ip.push_back(w.data());
  std::vector<std::vector<int64_t>> results(program.outputs.size(), std::vector<int64_t>(size_t(n)));
  std::vector<void*> op;
  for (auto& r : results) op.push_back(r.data());
  run_scalar(program, n, ip.data(), op.data());
  std::vector<Tensor> out;
  for (size_t j = 0; j < results.size(); ++j) {
    const DType t = program.code[size_t(program.outputs[j])].type;
    Tensor y = Tensor::make(t, shape);
    if (is_float(t)) store_doubles(t, y.data(), 0, n, reinterpret_cast<double*>(results[j].data()));
    else store_ints(t, y.data(), 0, n, results[j].data());
    out.push_back(y);
  }
  return out;
}

std::vector<Tensor> fast(const ScalarProgram& program, const std::vector<Tensor>& in, const Shape& shape, int threads) {
  std::vector<DType> types;
  std::vector<Shape> shapes;
  std::vector<const void*> ip;
  for (auto& t : in) {
    types.push_back(t ? t.dtype() : DType::none);
    shapes.push_back(t ? t.shape() : Shape{});
    ip.push_back(t ? t.data() : nullptr);
  }
  auto code = PointwiseCode::compile(program, types);
  EXPECT_TRUE(code.ok()) << code.status().message();
  if (!code.ok()) return {};
  auto plan = PointwisePlan::make(code.value(), shapes, shape);
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  if (!plan.ok()) return {};
  ThreadPool pool(threads);
  std::vector<char> scratch(plan.value().scratch_bytes(threads));
  std::vector<Tensor> out;
  std::vector<void*> op;
  for (size_t j = 0; j < program.outputs.size(); ++j) {
    out.push_back(Tensor::make(program.code[size_t(program.outputs[j])].type, shape));
    std::memset(out.back().data(), 0xa5, size_t(byte_size(out.back().dtype(), out.back().size())));
    op.push_back(out.back().data());
  }
  plan.value().run(pool, ip.data(), op.data(), scratch.data());
  return out;
}

double ulp(double v, DType t) {
  const int mantissa = t == DType::f16 ? 11 : t == DType::bf16 ? 8 : t == DType::f64 ? 53 : 24;
  const double least = t == DType::f16 ? std::ldexp(1, -24) : t == DType::bf16 ? std::ldexp(1, -133) : std::ldexp(1, -149);
  int e;
  std::frexp(v, &e);
  return std::max(std::ldexp(1.0, e - mantissa), least);
}

void compare(const Tensor& want, const Tensor& got, double ulps, const std::string& what) {
  for (int64_t i = 0; i < want.size(); ++i) {
    if (is_float(want.dtype())) {
      const double w = load_double(want.dtype(), want.data(), i), g = load_double(got.dtype(), got.data(), i);
      if (std::isnan(w) && std::isnan(g)) continue;
      if (w == g) continue;
      ASSERT_LE(std::fabs(w - g), ulps * ulp(w, want.dtype())) << what << " at " << i << ": want " << w << " got " << g;
    } else {
      ASSERT_EQ(load_int(want.dtype(), want.data(), i), load_int(got.dtype(), got.data(), i)) << what << " at " << i;
    }
  }
}

void check(const ScalarProgram& program, const std::vector<Tensor>& in, const Shape& shape, double ulps, const std::string& what) {
  auto want = reference(program, in, shape);
  for (int threads : {1, 3}) {
    auto got = fast(program, in, shape, threads);
    ASSERT_EQ(got.size(), want.size());
    for (size_t j = 0; j < want.size(); ++j) compare(want[j], got[j], ulps, what);
  }
}

Tensor floats(DType t, const Shape& shape, double low, double high, unsigned seed, bool special = false) {
  Tensor x = Tensor::make(t, shape);
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> u(low, high);
  const double specials[] = {0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN, 0.5, -0.5, 1e-30, -1e-30, 1e-42, 3e38, 2.0, -3.0, 100.0, -100.0, 88.5, -88.0, 1e-8};
  for (int64_t i = 0; i < x.size(); ++i)
    store_double(t, x.data(), i, special && i % 3 == 0 ? specials[size_t(i / 3) % std::size(specials)] : u(rng));
  return x;
}
Tensor ints(DType t, const Shape& shape, int64_t low, int64_t high, unsigned seed) {
  Tensor x = Tensor::make(t, shape);
  std::mt19937_64 rng(seed);
  std::uniform_int_distribution<int64_t> u(low, high);
  for (int64_t i = 0; i < x.size(); ++i) store_int(t, x.data(), i, u(rng));
  return x;
}

struct Builder {
  ScalarProgram program;
  Attrs attrs;
  ScalarArgs args;
  explicit Builder(std::vector<DType> types) : attrs(), args{attrs, &program, std::move(types)} {}
  S x(size_t i) { return args.x(i); }
  ScalarProgram done(std::initializer_list<S> outputs) {
    for (auto& s : outputs) program.outputs.push_back(s.id());
    return program;
  }
};

TEST(Pointwise, FloatUnary) {
  struct Case {
    Prim prim;
    double low, high, ulps;
  };
  for (auto c : std::initializer_list<Case>{
           {Prim::neg, -9, 9, 0}, {Prim::abs, -9, 9, 0}, {Prim::sign, -9, 9, 0}, {Prim::floor, -9, 9, 0},
           {Prim::ceil, -9, 9, 0}, {Prim::round, -9, 9, 0}, {Prim::trunc, -9, 9, 0}, {Prim::sqrt, 0, 9, 1},
           {Prim::exp, -105, 90, 2}, {Prim::exp, -1, 1, 2}, {Prim::log, 0, 9, 3}, {Prim::log, 0.5, 1.5, 3},
           {Prim::sin, -100, 100, 4}, {Prim::cos, -100, 100, 4}, {Prim::tan, -3, 3, 1}, {Prim::asin, -1, 1, 4},
           {Prim::acos, -1, 1, 4}, {Prim::atan, -9, 9, 4}, {Prim::sinh, -9, 9, 4}, {Prim::sinh, -90, 90, 4}, {Prim::cosh, -90, 90, 4},
           {Prim::asinh, -9, 9, 4}, {Prim::acosh, 1, 9, 4}, {Prim::atanh, -1, 1, 4}, {Prim::tanh, -9, 9, 3},
           {Prim::tanh, -1, 1, 3}, {Prim::erf, -5, 5, 3}, {Prim::erf, -1, 1, 3}, {Prim::sigmoid, -80, 80, 4},
           {Prim::sigmoid, -5, 5, 4}, {Prim::log1p, -1, 9, 4}, {Prim::log1p, -.1, .1, 4}, {Prim::expm1, -20, 88, 4}, {Prim::expm1, -1, 1, 4}}) {
    Builder b({DType::f32});
    auto program = b.done({unary(c.prim, b.x(0))});
    // A subnormal result of sigmoid below -87 is flushed: the special -88 and -100 are compared absolutely.
    const Tensor x = floats(DType::f32, {20011}, c.low, c.high, 1, c.prim != Prim::sigmoid);
    check(program, {x}, {20011}, c.ulps, prim_name(c.prim));
  }
}

TEST(Pointwise, FloatBinary) {
  struct Case {
    Prim prim;
    double ulps;
  };
  for (auto c : std::initializer_list<Case>{{Prim::add, 0.5}, {Prim::sub, .5}, {Prim::mul, .5}, {Prim::div, .5}, {Prim::fmod, 0},
                                            {Prim::mod, 1}, {Prim::pow, 2}, {Prim::min, 0}, {Prim::max, 0}, {Prim::eq, 0}, {Prim::lt, 0}, {Prim::le, 0}}) {
    Builder b({DType::f32, DType::f32});
    S x = b.x(0), y = b.x(1);
    auto program = b.done({c.prim >= Prim::eq ? predicate(c.prim, x, y) : binary(c.prim, x, y)});
    check(program, {floats(DType::f32, {7001}, -5, 5, 1, true), floats(DType::f32, {7001}, -5, 5, 2)}, {7001}, c.ulps, prim_name(c.prim));
    // Every special against every other.
    Tensor p = floats(DType::f32, {60, 1}, 0, 4, 3, true), q = floats(DType::f32, {60}, -3, 3, 4, true);
    if (c.prim == Prim::pow) continue;
    check(program, {p, q}, {60, 60}, c.ulps, prim_name(c.prim));
  }
}

TEST(Pointwise, PowSpecials) {
  Builder b({DType::f32, DType::f32});
  auto program = b.done({pow(b.x(0), b.x(1))});
  const double values[] = {0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 2.5, -2.5, 1e30, -1e30, 1e-30, 16777217, INFINITY, -INFINITY, NAN};
  const int64_t n = std::size(values);
  Tensor x = Tensor::make(DType::f32, {n, 1}), y = Tensor::make(DType::f32, {n});
  for (int64_t i = 0; i < n; ++i) store_double(DType::f32, x.data(), i, values[i]), store_double(DType::f32, y.data(), i, values[i]);
  auto want = reference(program, {x, y}, {n, n}), got = fast(program, {x, y}, {n, n}, 1);
  for (int64_t i = 0; i < n * n; ++i) {
    const double w = load_double(DType::f32, want[0].data(), i), g = load_double(DType::f32, got[0].data(), i);
    EXPECT_EQ(std::isnan(w), std::isnan(g)) << values[i / n] << " ^ " << values[i % n] << " got " << g;
    if (std::isnan(w) || w == g) continue;
    EXPECT_LE(std::fabs(w - g), 2 * ulp(w, DType::f32)) << values[i / n] << " ^ " << values[i % n];
  }
}

TEST(Pointwise, Shapes) {
  struct Case {
    Shape a, b, c, out;
  };
  for (auto& k : std::initializer_list<Case>{
           {{}, {}, {}, {}}, {{5}, {}, {1}, {5}}, {{0, 3}, {3}, {}, {0, 3}}, {{7, 3}, {3}, {7, 1}, {7, 3}},
           {{2, 64, 7, 7}, {64, 1, 1}, {2, 1, 7, 7}, {2, 64, 7, 7}}, {{3, 1, 5}, {4, 1}, {5}, {3, 4, 5}},
           {{33, 1025}, {1025}, {33, 1}, {33, 1025}}, {{1, 700}, {700, 1}, {}, {700, 700}},
           {{2, 3, 4, 5, 6}, {2, 1, 4, 1, 6}, {3, 1, 5, 1}, {2, 3, 4, 5, 6}}, {{100003}, {100003}, {1}, {100003}},
           {{2, 3, 600}, {2, 1, 600}, {3, 1}, {2, 3, 600}}, {{64, 49, 3}, {49, 1}, {64, 1, 3}, {64, 49, 3}}}) {
    Builder b({DType::f32, DType::f16, DType::f32});
    S x = b.x(0), y = cast(b.x(1), DType::f32), z = b.x(2);
    auto program = b.done({max(y * z + z, 1.0), x - y * z, y * z - x});  // nothing cancels
    check(program, {floats(DType::f32, k.a, -5, -1, 1), floats(DType::f16, k.b, 0.5, 5, 2), floats(DType::f32, k.c, 0.5, 5, 3)}, k.out, 2,
          "shape");
  }
}

TEST(Pointwise, HalfTypes) {
  for (DType t : {DType::f16, DType::bf16}) {
    Builder b({t, t});
    S x = b.x(0);
    auto program = b.done({unary(Prim::tanh, x) * b.x(1) + 1.0});
    check(program, {floats(t, {3, 333}, 0.1, 5, 1), floats(t, {333}, 0.1, 5, 2)}, {3, 333}, 1.01, name(t));
    check(b.done({}), {floats(t, {3, 333}, 0.1, 5, 1, true), floats(t, {333}, 0.1, 5, 2)}, {3, 333}, 1e6, name(t));  // NaN and infinities
  }
}

TEST(Pointwise, Integers) {
  for (DType t : {DType::i32, DType::i64, DType::u32, DType::u64, DType::i8, DType::u8, DType::i16, DType::u16}) {
    for (Prim p : {Prim::add, Prim::sub, Prim::mul, Prim::div, Prim::mod, Prim::fmod, Prim::min, Prim::max, Prim::bit_and, Prim::bit_or, Prim::bit_xor,
                   Prim::eq, Prim::lt, Prim::le, Prim::pow, Prim::shift_left, Prim::shift_right}) {
      const bool shift = p == Prim::shift_left || p == Prim::shift_right;
      Builder b({t, t});
      S x = b.x(0), y = b.x(1);
      auto program = b.done({p >= Prim::eq ? predicate(p, x, y) : binary(p, x, y)});
      const int64_t low = is_unsigned_int(t) ? 0 : -100;
      check(program, {ints(t, {517}, low, 100, 1), ints(t, {517}, shift ? 0 : p == Prim::pow ? 0 : low, shift ? 70 : p == Prim::pow ? 5 : 10, 2)}, {517}, 0,
            std::string(name(t)) + " " + prim_name(p));
      const int64_t all = t == DType::i64 || t == DType::u64 ? INT64_MAX : t == DType::i32 || t == DType::u32 ? INT32_MAX : 127;
      if (!shift && p != Prim::pow)
        check(program, {ints(t, {517}, is_unsigned_int(t) ? 0 : -all - 1, all, 1), ints(t, {517}, is_unsigned_int(t) ? 0 : -1, 1, 2)}, {517}, 0,
              std::string(name(t)) + " " + prim_name(p));
    }
    for (Prim p : {Prim::neg, Prim::abs, Prim::sign, Prim::bit_not}) {
      Builder b({t});
      auto program = b.done({unary(p, b.x(0))});
      check(program, {ints(t, {517}, is_unsigned_int(t) ? 0 : -128, 127, 1)}, {517}, 0, std::string(name(t)) + " " + prim_name(p));
    }
  }
}

TEST(Pointwise, Casts) {
  const DType all[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i16, DType::u16, DType::i32, DType::u32, DType::i64, DType::u64, DType::boolean};
  for (DType from : all)
    for (DType to : all) {
      Builder b({from});
      auto program = b.done({cast(b.x(0), to)});
      Tensor x = is_float(from) ? floats(from, {301}, is_unsigned_int(to) ? 0 : -300, 300, 1)
                                : ints(from, {301}, from == DType::boolean || is_unsigned_int(from) ? 0 : -100, from == DType::boolean ? 1 : 120, 1);
      check(program, {x}, {301}, 0, std::string(name(from)) + " to " + name(to));
    }
}

TEST(Pointwise, SelectAndLogic) {
  Builder b({DType::boolean, DType::f32, DType::f64, DType::i64});
  S m = b.x(0), x = b.x(1), y = b.x(2), z = b.x(3);
  S t = predicate(Prim::logical_and, m, x < 0.5);
  S u = predicate(Prim::logical_xor, predicate(Prim::logical_not, m), z < z.same(3));
  auto program = b.done({select(t, x, x * 2.0), select(u, y, y + 1.0), select(m, z, z - 1.0), t, u, m, predicate(Prim::lt, t, u), predicate(Prim::is_nan, x), predicate(Prim::is_inf, y)});
  check(program, {ints(DType::boolean, {1, 77}, 0, 1, 1), floats(DType::f32, {33, 77}, -1, 1, 2, true), floats(DType::f64, {33, 1}, -1, 1, 3, true), ints(DType::i64, {}, -5, 5, 4)},
        {33, 77}, 1, "select");
}

TEST(Pointwise, IdentityAndConstants) {
  Builder b({DType::f32, DType::u8});
  S x = b.x(0), c = x.same(3.5);
  auto program = b.done({x, c, x, b.x(1), x + c});
  check(program, {floats(DType::f32, {3, 5}, -1, 1, 2), ints(DType::u8, {}, 7, 7, 1)}, {3, 5}, 0, "identity");
}

TEST(Pointwise, LongProgram) {
  Builder b({DType::f32, DType::f32});
  S x = b.x(0), y = b.x(1);
  std::vector<S> terms;
  for (int i = 0; i < 20; ++i) terms.push_back(x * double(i) - y);
  S sum = terms[0];
  for (int i = 19; i > 0; --i) sum = sum + max(terms[size_t(i)], double(i)) / 20.0;
  auto program = b.done({sum});
  check(program, {floats(DType::f32, {1500}, 1, 2, 2), floats(DType::f32, {1500}, -1, 0, 3)}, {1500}, 10, "long");
}

TEST(Pointwise, EpilogueInPlace) {
  Builder b({DType::f32, DType::f32, DType::f32});
  auto program = b.done({max(b.x(0) * b.x(1) + b.x(2), 0.0)});
  auto code = PointwiseCode::compile(program, {DType::f32, DType::f32, DType::f32}).value();
  std::vector<float> row(131), scale(131);
  for (size_t i = 0; i < row.size(); ++i) row[i] = float(i) - 60, scale[i] = float(i % 5);
  const float bias = 2;
  const PointwiseSource in[] = {{row.data(), false}, {scale.data(), false}, {&bias, true}};
  void* out[] = {row.data()};
  std::vector<char> scratch(code.scratch_bytes());
  code.run(131, in, out, scratch.data());
  for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i], std::max(0.0f, (float(i) - 60) * float(i % 5) + 2));
}

}  // namespace
}  // namespace tenon::cpu
