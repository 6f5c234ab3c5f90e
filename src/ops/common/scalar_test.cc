// Scalar programs: the primitives at their edges, casts, and shape arithmetic seen through elementwise operators.
#include "ops/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/op.h"

namespace tenon {
namespace {

const int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();

// One operation on one element of each operand.
struct Calculator {
  ScalarProgram program;
  std::vector<int64_t> words = std::vector<int64_t>(4);
  int count = 0;

  S input(DType t, double v) {
    if (is_float(t)) store_double(DType::f64, &words[size_t(count)], 0, v);
    else store_double(DType::i64, &words[size_t(count)], 0, v);
    return next(t);
  }
  S input_int(DType t, int64_t v) {
    words[size_t(count)] = v;
    return next(t);
  }
  double floating(S result) {
    run(result);
    return load_double(DType::f64, &words[3], 0);
  }
  int64_t integer(S result) {
    run(result);
    return words[3];
  }

 private:
  S next(DType t) {
    ScalarInst inst{Prim::input, t};
    inst.input = count++;
    program.code.push_back(inst);
    return S(&program, int(program.code.size()) - 1);
  }
  void run(S result) {
    program.outputs = {result.id()};
    const void* inputs[3] = {&words[0], &words[1], &words[2]};
    void* output = &words[3];
    run_scalar(program, 1, inputs, &output);
  }
};

int64_t ints(Prim p, DType t, int64_t a, int64_t b) {
  Calculator c;
  S x = c.input_int(t, a), y = c.input_int(t, b);
  return c.integer(binary(p, x, y));
}
double floats(Prim p, double a, double b) {
  Calculator c;
  S x = c.input(DType::f32, a), y = c.input(DType::f32, b);
  return c.floating(binary(p, x, y));
}
int64_t one_int(Prim p, DType t, int64_t a) {
  Calculator c;
  return c.integer(unary(p, c.input_int(t, a)));
}
double one_float(Prim p, double a) {
  Calculator c;
  return c.floating(unary(p, c.input(DType::f64, a)));
}
int64_t cast_to_int(DType from, double v, DType to) {
  Calculator c;
  return c.integer(cast(c.input(from, v), to));
}
double cast_to_float(DType from, double v, DType to, bool saturate = true) {
  Calculator c;
  return c.floating(cast(c.input(from, v), to, saturate));
}

TEST(Scalar, NamesAndOperands) {
  EXPECT_STREQ(prim_name(Prim::input), "input");
  EXPECT_STREQ(prim_name(Prim::select), "select");
  EXPECT_EQ(prim_operands(Prim::select), 3);
  EXPECT_EQ(prim_operands(Prim::exp), 1);
  EXPECT_EQ(prim_operands(Prim::constant), 0);
}

TEST(Scalar, IntegersWrap) {
  EXPECT_EQ(ints(Prim::add, DType::i8, 127, 1), -128);
  EXPECT_EQ(ints(Prim::sub, DType::u8, 0, 1), 255);
  EXPECT_EQ(ints(Prim::mul, DType::i32, 65536, 65536), 0);
  EXPECT_EQ(ints(Prim::add, DType::i64, kMax, 1), kMin);
  EXPECT_EQ(ints(Prim::mul, DType::i64, kMin, -1), kMin);
  EXPECT_EQ(one_int(Prim::neg, DType::i64, kMin), kMin);
  EXPECT_EQ(one_int(Prim::abs, DType::i8, -128), -128);
  EXPECT_EQ(one_int(Prim::bit_not, DType::u8, 0), 255);
  EXPECT_EQ(one_int(Prim::sign, DType::u64, -1), 1);  // the largest u64
  EXPECT_EQ(one_int(Prim::sign, DType::i64, kMin), -1);
}

TEST(Scalar, DivisionOfIntegers) {
  EXPECT_EQ(ints(Prim::div, DType::i32, -7, 2), -3);
  EXPECT_EQ(ints(Prim::div, DType::i32, 7, 0), 0);
  EXPECT_EQ(ints(Prim::div, DType::i64, kMin, -1), kMin);
  EXPECT_EQ(ints(Prim::div, DType::u64, -1, 2), kMax);
  EXPECT_EQ(ints(Prim::mod, DType::i32, -7, 3), 2);
  EXPECT_EQ(ints(Prim::mod, DType::i32, 7, -3), -2);
  EXPECT_EQ(ints(Prim::fmod, DType::i32, -7, 3), -1);
  EXPECT_EQ(ints(Prim::mod, DType::i64, kMin, -1), 0);
  EXPECT_EQ(ints(Prim::fmod, DType::i64, kMin, -1), 0);
  EXPECT_EQ(ints(Prim::mod, DType::i32, 7, 0), 0);
  EXPECT_EQ(ints(Prim::mod, DType::u64, -1, 10), 5);
}

TEST(Scalar, RemainderOfFloats) {
  EXPECT_EQ(floats(Prim::mod, -7, 3), 2);
  EXPECT_EQ(floats(Prim::fmod, -7, 3), -1);
  EXPECT_EQ(floats(Prim::mod, 5, INFINITY), 5);
  EXPECT_EQ(floats(Prim::mod, 5, -INFINITY), -INFINITY);
  EXPECT_TRUE(std::signbit(floats(Prim::mod, 6, -3)));
  EXPECT_FALSE(std::signbit(floats(Prim::mod, -6, 3)));
  EXPECT_TRUE(std::isnan(floats(Prim::mod, 1, 0)));
}

TEST(Scalar, MinMaxNan) {
  for (Prim p : {Prim::min, Prim::max}) {
    EXPECT_TRUE(std::isnan(floats(p, NAN, 1)));
    EXPECT_TRUE(std::isnan(floats(p, 1, NAN)));
  }
  EXPECT_EQ(ints(Prim::max, DType::u64, -1, 1), -1);
  EXPECT_EQ(ints(Prim::max, DType::i64, -1, 1), 1);
}

TEST(Scalar, Shifts) {
  EXPECT_EQ(ints(Prim::shift_left, DType::u8, 0x81, 1), 2);
  EXPECT_EQ(ints(Prim::shift_left, DType::u8, 1, 8), 0);
  EXPECT_EQ(ints(Prim::shift_left, DType::i8, 1, 7), -128);
  EXPECT_EQ(ints(Prim::shift_left, DType::i32, 1, -1), 0);
  EXPECT_EQ(ints(Prim::shift_right, DType::i32, -8, 1), -4);
  EXPECT_EQ(ints(Prim::shift_right, DType::i32, -8, 99), -1);
  EXPECT_EQ(ints(Prim::shift_right, DType::i32, -8, -1), -1);
  EXPECT_EQ(ints(Prim::shift_right, DType::i32, 8, -1), 0);
  EXPECT_EQ(ints(Prim::shift_right, DType::u64, -1, 63), 1);
  EXPECT_EQ(ints(Prim::shift_right, DType::u64, -1, 64), 0);
}

TEST(Scalar, Powers) {
  EXPECT_EQ(ints(Prim::pow, DType::i32, -2, 5), -32);
  EXPECT_EQ(ints(Prim::pow, DType::i32, 0, 0), 1);
  EXPECT_EQ(ints(Prim::pow, DType::i32, 2, -1), 0);
  EXPECT_EQ(ints(Prim::pow, DType::i32, -1, -3), -1);
  EXPECT_EQ(ints(Prim::pow, DType::i64, 3, kMax), ints(Prim::pow, DType::i64, 3, kMax));
  EXPECT_EQ(floats(Prim::pow, -2, 3), -8);
}

TEST(Scalar, Functions) {
  EXPECT_EQ(one_float(Prim::round, 2.5), 2);
  EXPECT_EQ(one_float(Prim::round, -1.5), -2);
  EXPECT_EQ(one_float(Prim::sigmoid, -1000), 0);
  EXPECT_EQ(one_float(Prim::sigmoid, 1000), 1);
  EXPECT_EQ(one_float(Prim::sign, -3), -1);
  EXPECT_TRUE(std::isnan(one_float(Prim::sign, NAN)));
  EXPECT_TRUE(std::isnan(one_float(Prim::sqrt, -1)));
  EXPECT_EQ(one_float(Prim::log, 0), -INFINITY);
}

TEST(Scalar, Comparisons) {
  Calculator c;
  S a = c.input(DType::f32, NAN);
  EXPECT_EQ(c.integer(equal(a, a)), 0);
  EXPECT_EQ(c.integer(a <= a), 0);
  Calculator d;
  S big = d.input_int(DType::u64, -1), one = d.input_int(DType::u64, 1);
  EXPECT_EQ(d.integer(one < big), 1);
  EXPECT_EQ(d.integer(select(big > one, one, big)), 1);
}

TEST(Scalar, Casts) {
  EXPECT_EQ(cast_to_int(DType::f32, -1.9, DType::i32), -1);
  EXPECT_EQ(cast_to_int(DType::f32, NAN, DType::boolean), 1);
  EXPECT_EQ(cast_to_int(DType::f32, -0.0, DType::boolean), 0);
  EXPECT_EQ(cast_to_int(DType::f32, 0.25, DType::boolean), 1);
  EXPECT_EQ(cast_to_int(DType::i16, 200, DType::i8), -56);
  EXPECT_EQ(cast_to_int(DType::i32, -1, DType::u8), 255);
  EXPECT_EQ(cast_to_int(DType::i32, -1, DType::u4), 15);
  EXPECT_EQ(cast_to_int(DType::i32, 9, DType::i4), -7);
  EXPECT_EQ(cast_to_int(DType::i32, 256, DType::boolean), 1);
  EXPECT_EQ(cast_to_float(DType::f64, 1e6, DType::f16), INFINITY);
  EXPECT_EQ(cast_to_float(DType::f32, 1e6, DType::f8e5m2), 57344);
  EXPECT_EQ(cast_to_float(DType::f32, 1e6, DType::f8e5m2, false), INFINITY);
  EXPECT_EQ(cast_to_float(DType::f64, 0.1, DType::f32), double(0.1f));
  for (int64_t v : {kMin, kMin + 1, kMax, int64_t(9007199254740993)}) {
    Calculator c;
    EXPECT_EQ(c.integer(cast(c.input_int(DType::i64, v), DType::u64)), v);
    Calculator d;
    EXPECT_EQ(d.floating(cast(d.input_int(DType::i64, v), DType::f32)), double(float(v)));
  }
  Calculator c;
  EXPECT_EQ(c.floating(cast(c.input_int(DType::u64, -1), DType::f64)), 18446744073709551616.0);
}

TEST(Scalar, ConstantsTakeTheirType) {
  Calculator c;
  S x = c.input_int(DType::i32, 5);
  EXPECT_EQ(c.integer(min(x, 1e300)), 5);
  EXPECT_EQ(c.integer(max(x, -1e300)), 5);
  EXPECT_EQ(c.integer(min(x, NAN)), 0);
  EXPECT_EQ(c.integer(x * 3 + 1), 16);
  Calculator d;
  S y = d.input_int(DType::u64, -1);
  EXPECT_EQ(d.integer(min(y, 1e300)), -1);
  EXPECT_EQ(d.integer(max(y.same(0), -5)), 0);
  Calculator e;
  EXPECT_EQ(e.integer(e.input_int(DType::u8, 7).same(300)), 255);
}

TEST(Scalar, ManyElements) {
  ScalarProgram program;
  program.code.push_back({Prim::input, DType::i64});
  S x(&program, 0);
  S y = x * x;
  program.outputs = {y.id(), x.id()};
  std::vector<int64_t> in(1000), squares(1000), same(1000);
  for (size_t i = 0; i < in.size(); ++i) in[i] = int64_t(i);
  const void* inputs[] = {in.data()};
  void* outputs[] = {squares.data(), same.data()};
  run_scalar(program, 1000, inputs, outputs);
  EXPECT_EQ(same, in);
  EXPECT_EQ(squares[999], 999 * 999);
  run_scalar(program, 0, inputs, outputs);
}

// ---- inference through operators -------------------------------------------------------------------------------

ValueInfo shape_value(std::vector<Dim> value, DType t = DType::i64) {
  ValueInfo v{t, true, {Dim(int64_t(value.size()))}, {}, std::nullopt};
  v.value = std::move(value);
  return v;
}
ValueInfo of(Tensor t) { return {t.dtype(), true, to_sym(t.shape()), t, std::nullopt}; }

ValueInfo infer(const char* op, std::vector<ValueInfo> in, Attrs attrs = {}) {
  const Op* found = find_op("", op);
  EXPECT_NE(found, nullptr) << op;
  EXPECT_TRUE(normalize_attrs(*found, attrs).ok());
  InferArgs a{*found, attrs, std::move(in), std::vector<ValueInfo>(1), {}, {}};
  Status s = infer_op(a);
  EXPECT_TRUE(s.ok()) << op << ": " << s.message();
  return a.out[0];
}
std::string text(const ValueInfo& v) { return v.value ? to_string(*v.value) : "unknown"; }

TEST(ScalarInference, FollowsShapeArithmetic) {
  const Dim b = Dim::symbol("b"), s = Dim::symbol("s");
  const ValueInfo bs = shape_value({b, s});
  EXPECT_EQ(text(infer("Add", {bs, of(Tensor::scalar_int(1))})), "[b+1, s+1]");
  EXPECT_EQ(text(infer("Mul", {bs, of(Tensor::of_ints({2, 3}))})), "[2*b, 3*s]");
  EXPECT_EQ(text(infer("Div", {bs, of(Tensor::scalar_int(2))})), "[div(b, 2), div(s, 2)]");
  EXPECT_EQ(text(infer("Sub", {bs, shape_value({s})})), "[b-s, 0]");
  EXPECT_EQ(text(infer("Max", {bs, bs, shape_value({b})})), "[b, max(b, s)]");
  EXPECT_EQ(text(infer("Div", {shape_value({b - s}), of(Tensor::scalar_int(2))})), "unknown");  // may be negative
  EXPECT_EQ(text(infer("Mod", {bs, of(Tensor::scalar_int(4))})), "[mod(b, 4), mod(s, 4)]");
  EXPECT_EQ(text(infer("Neg", {bs})), "[-b, -s]");
}

TEST(ScalarInference, ExpandIdiom) {  // Where(shape == -1, ones, shape)
  const ValueInfo shape = shape_value({Dim::symbol("b"), Dim(-1), Dim(3)});
  const ValueInfo minus = infer("Equal", {shape, of(Tensor::scalar_int(-1))});
  EXPECT_EQ(minus.dtype, DType::boolean);
  EXPECT_EQ(text(minus), "[0, 1, 0]");
  EXPECT_EQ(text(infer("Where", {minus, of(Tensor::of_ints({1, 1, 1})), shape})), "[b, 1, 3]");
}

TEST(ScalarInference, ByWayOfFloats) {
  const ValueInfo f = infer("Cast", {shape_value({Dim::symbol("h")})}, {{"to", int64_t(DType::f32)}});
  EXPECT_EQ(f.dtype, DType::f32);
  const ValueInfo doubled = infer("Floor", {infer("Mul", {f, of(Tensor::scalar_float(2))})});
  EXPECT_EQ(text(infer("Cast", {doubled}, {{"to", int64_t(DType::i64)}})), "[2*h]");
  EXPECT_EQ(text(infer("Mul", {f, of(Tensor::scalar_float(0.5))})), "unknown");
  EXPECT_EQ(text(infer("Div", {f, of(Tensor::scalar_float(2))})), "unknown");
}

TEST(ScalarInference, ConstantsAreExact) {
  auto one = [](int64_t v) { return of(Tensor::scalar_int(v)); };
  EXPECT_EQ(text(infer("Add", {one(kMax), one(0)})), cat("[", kMax, "]"));
  EXPECT_EQ(text(infer("Div", {one(kMin), one(-1)})), cat("[", kMin, "]"));
  EXPECT_EQ(text(infer("Div", {one(7), one(0)})), "[0]");
  EXPECT_EQ(text(infer("Cast", {one((int64_t(1) << 32) + 5)}, {{"to", int64_t(DType::i32)}})), "[5]");
  EXPECT_EQ(text(infer("Pow", {one(3), one(4)})), "[81]");
}

TEST(ScalarInference, ShapesAndErrors) {
  const Op& add = *find_op("", "Add");
  auto ranked = [](SymShape s) { return ValueInfo{DType::f32, true, std::move(s), {}, std::nullopt}; };
  EXPECT_EQ(to_string(infer("Add", {ranked({Dim::symbol("b"), 1, 5}), ranked({7, 1})}).shape), "[b, 7, 5]");
  InferArgs bad{add, {}, {ranked({2}), ranked({3})}, std::vector<ValueInfo>(1), {}, {}};
  EXPECT_EQ(infer_op(bad).code(), Code::invalid_model);
  Attrs attrs;
  InferArgs prelu{*find_op("", "PRelu"), attrs, {ranked({3}), ranked({2, 3})}, std::vector<ValueInfo>(1), {}, {}};
  EXPECT_EQ(infer_op(prelu).code(), Code::invalid_model);
  attrs = {{"to", int64_t(DType::str)}, {"round_mode", std::string("up")}};
  InferArgs strings{*find_op("", "Cast"), attrs, {ranked({3})}, std::vector<ValueInfo>(1), {}, {}};
  EXPECT_EQ(infer_op(strings).code(), Code::unsupported);
  attrs.set("to", int64_t(1000));
  EXPECT_EQ(infer_op(strings).code(), Code::invalid_model);
}

TEST(ScalarReference, Broadcasts) {
  const Tensor in[] = {Tensor::of_ints({1, 2, 3}), Tensor::of_ints({10, 20}).reshaped({2, 1})};
  std::vector<Tensor> out;
  ASSERT_TRUE(run_reference(*find_op("", "Add"), {}, in, 1, out).ok());
  EXPECT_EQ(out[0].shape(), (Shape{2, 3}));
  EXPECT_EQ(out[0].to_ints(), (std::vector<int64_t>{11, 12, 13, 21, 22, 23}));
}

}  // namespace
}  // namespace tenon
