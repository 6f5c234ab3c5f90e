#include "backend/cpu/kernels/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/op.h"

namespace tenon::cpu {
namespace {

Tensor reference(const char* op, Attrs attrs, const std::vector<Tensor>& in) {
  std::vector<Tensor> out;
  EXPECT_TRUE(normalize_attrs(*find_op("", op), attrs).ok());
  const Status s = run_reference(*find_op("", op), attrs, in, 1, out);
  EXPECT_TRUE(s.ok()) << s.message();
  return out[0];
}

void check(DType t, int64_t outer, int64_t size, int64_t inner, bool zeros) {
  SCOPED_TRACE(testing::Message() << name(t) << " " << outer << "x" << size << "x" << inner);
  std::mt19937 rng(uint32_t(outer + size));
  const Shape shape{outer, size, inner};
  const bool each = size > 1;
  Tensor x = Tensor::make(DType::f32, shape), scale = Tensor::make(DType::f32, each ? Shape{size} : Shape{}),
         zero = Tensor::make(t, scale.shape());
  for (int64_t i = 0; i < x.size(); ++i)  // halves, so that ties are there
    x.as<float>()[i] = i % 37 == 5   ? NAN
                       : i % 37 == 6 ? INFINITY
                       : i % 37 == 7 ? -INFINITY
                                     : (float(rng() % 2001) - 1000) / 2;
  for (int64_t i = 0; i < scale.size(); ++i) scale.set(i, i % 3 ? 1 : 0.3);
  for (int64_t i = 0; i < zero.size(); ++i) zero.set_int(i, int64_t(rng() % 9));
  std::vector<Tensor> in{x, scale};
  if (zeros || t != DType::u8) in.push_back(zero);
  const QuantizeDesc d{t, outer, size, inner};
  const Tensor want = quantize_holds(t) ? reference("QuantizeLinear", {}, in) : Tensor();
  Tensor ints = Tensor::make(t, shape);
  for (int64_t i = 0; i < ints.size(); ++i) ints.set_int(i, int64_t(rng()));
  in[0] = ints;
  const Tensor floats = reference("DequantizeLinear", {}, in);
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    const void* z = in.size() > 2 ? zero.data() : nullptr;
    Tensor y = Tensor::make(t, shape), back = Tensor::make(DType::f32, shape);
    if (want) {
      quantize_linear(pool, d, x.as<float>(), scale.as<float>(), z, y.data());
      for (int64_t i = 0; i < y.size(); ++i) ASSERT_EQ(y.int_at(i), want.int_at(i)) << i << " of " << x.at(i);
    }
    dequantize_linear(pool, d, ints.data(), scale.as<float>(), z, back.as<float>());
    for (int64_t i = 0; i < y.size(); ++i) ASSERT_EQ(back.at(i), floats.at(i)) << i;
  }
}

TEST(Quantize, AgreesWithTheReference) {
  for (DType t : {DType::u8, DType::i8, DType::u16, DType::i16, DType::i32}) {
    check(t, 3, 1, 100, true);
    check(t, 5, 19, 1, true);
    check(t, 2, 3, 37, true);
    check(t, 0, 3, 5, true);
  }
  check(DType::u8, 7, 1, 11, false);
  check(DType::u8, 200, 30, 33, false);
}

TEST(Quantize, Range) {
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<Range> scratch(static_cast<size_t>(threads));
    std::vector<float> x(100003, 1.0f);
    x[77] = -3, x[100002] = 9, x[5] = NAN;
    const Range r = range_with_zero(pool, x.data(), int64_t(x.size()), scratch.data());
    EXPECT_EQ(r.low, -3);
    EXPECT_EQ(r.high, 9);
    const Range none = range_with_zero(pool, x.data(), 0, scratch.data());
    EXPECT_EQ(none.low, 0);
    EXPECT_EQ(none.high, 0);
  }
}

}  // namespace
}  // namespace tenon::cpu
