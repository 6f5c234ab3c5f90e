#include "backend/cpu/kernels/topk.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/op.h"

namespace tenon::cpu {
namespace {

const DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16,
                        DType::i32, DType::i64, DType::u32, DType::u64};

Tensor random_tensor(std::mt19937& rng, DType t, Shape shape, bool special) {
  Tensor x = Tensor::make(t, std::move(shape));
  for (int64_t i = 0; i < x.size(); ++i) {
    const uint32_t r = rng();
    if (!is_float(t))
      x.set_int(i, special ? int64_t(r % 7) - 3 : int64_t(r) * (r % 2 ? 1 : -77777));
    else if (!special)
      x.set(i, (double(r) - 2e9) / 1e9);
    else
      x.set(i, r % 5 == 0   ? NAN
               : r % 5 == 1 ? INFINITY
               : r % 5 == 2 ? -INFINITY
               : r % 5 == 3 ? -0.0
                            : double(r % 3));
  }
  return x;
}
std::vector<Tensor> reference(const char* op, Attrs attrs, const std::vector<Tensor>& in, size_t outputs) {
  std::vector<Tensor> out;
  EXPECT_TRUE(normalize_attrs(*find_op("", op), attrs).ok());
  EXPECT_TRUE(run_reference(*find_op("", op), attrs, in, outputs, out).ok());
  return out;
}

void check_top_k(DType t, int64_t outer, int64_t n, int64_t inner, int64_t k, bool largest, bool special) {
  SCOPED_TRACE(testing::Message() << name(t) << " " << outer << "x" << n << "x" << inner << " k " << k
                                  << " largest " << largest << " special " << special);
  std::mt19937 rng(uint32_t(n + k));
  const Tensor x = random_tensor(rng, t, {outer, n, inner}, special);
  Tensor count = Tensor::make(DType::i64, {1});
  count.set_int(0, k);
  const auto want = reference("TopK", {{"axis", int64_t(1)}, {"largest", int64_t(largest)}}, {x, count}, 2);
  const TopKDesc d{t, largest, outer, n, inner, k};
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    Tensor values = Tensor::make(t, {outer, k, inner}), indices = Tensor::make(DType::i64, {outer, k, inner});
    Tensor scratch = Tensor::make(DType::u8, {top_k_scratch_bytes(d, threads)});
    top_k(pool, d, x.data(), values.data(), indices.as<int64_t>(), scratch.data());
    for (int64_t i = 0; i < indices.size(); ++i)
      ASSERT_EQ(indices.as<int64_t>()[i], want[1].as<int64_t>()[i]) << i;
    ASSERT_TRUE(values.size() == 0 || !memcmp(values.data(), want[0].data(), size_t(values.bytes())));
    top_k(pool, d, x.data(), nullptr, nullptr, scratch.data());
  }
}

TEST(TopK, AgreesWithTheReference) {
  for (DType t : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i16,
                  DType::u16, DType::i32, DType::u32, DType::i64, DType::u64})
    for (bool largest : {false, true})
      for (bool special : {false, true}) {
        check_top_k(t, 3, 13, 1, 5, largest, special);
        check_top_k(t, 2, 300, 3, 7, largest, special);
      }
  for (int64_t k : {0, 1, 40, 63, 64, 65, 500, 999, 1000})
    check_top_k(DType::f32, 5, 1000, 1, k, true, k % 2);
  check_top_k(DType::f32, 0, 5, 1, 2, true, false);
  check_top_k(DType::f32, 3, 5, 0, 2, true, false);
  check_top_k(DType::f32, 40, 2000, 1, 100, false, false);  // several threads
}

TEST(Cumulative, AgreesWithTheReference) {
  std::mt19937 rng(1);
  for (DType t : kTypes)
    for (bool product : {false, true})
      for (int options = 0; options < 4; ++options)
        for (const Shape& shape : {Shape{3, 5, 1}, Shape{2, 7, 70}, Shape{1, 0, 3}, Shape{20, 30, 33}}) {
          const Tensor x = random_tensor(rng, t, shape, false);
          Tensor axis = Tensor::make(DType::i64, {});
          axis.set_int(0, 1);
          const CumulativeDesc d{t,        product,  bool(options & 1), bool(options & 2),
                                 shape[0], shape[1], shape[2]};
          const Tensor want = reference(
              product ? "CumProd" : "CumSum",
              {{"exclusive", int64_t(d.exclusive)}, {"reverse", int64_t(d.reverse)}}, {x, axis}, 1)[0];
          for (int threads : {1, 3}) {
            ThreadPool pool(threads);
            Tensor y = Tensor::make(t, shape);
            cumulative(pool, d, x.data(), y.data());
            ASSERT_TRUE(y.size() == 0 || !memcmp(y.data(), want.data(), size_t(y.bytes())))
                << name(t) << product << options;
          }
        }
}

}  // namespace
}  // namespace tenon::cpu
