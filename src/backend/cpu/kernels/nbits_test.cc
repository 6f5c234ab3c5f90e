#include "backend/cpu/kernels/nbits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/op.h"

namespace tenon::cpu {
namespace {

enum class Zeros : uint8_t { none, packed, floats };

void check(int64_t m, int64_t n, int64_t k, int64_t bits, int64_t block, Zeros kind, bool bias) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k << " bits " << bits << " block " << block
                                  << " zeros " << int(kind));
  std::mt19937 rng(3);
  std::uniform_real_distribution<float> u(-1, 1);
  const auto floats = [&](Shape shape) {
    Tensor t = Tensor::make(DType::f32, std::move(shape));
    for (int64_t i = 0; i < t.size(); ++i) t.as<float>()[i] = u(rng);
    return t;
  };
  const auto bytes = [&](Shape shape) {
    Tensor t = Tensor::make(DType::u8, std::move(shape));
    for (int64_t i = 0; i < t.size(); ++i) t.as<uint8_t>()[i] = uint8_t(rng());
    return t;
  };
  NBitsDesc d{Isa::baseline, m, n, k, bits, block};
  std::vector<Tensor> in{floats({m, k}), bytes({n, d.blocks(), block * bits / 8}), floats({n, d.blocks()})};
  in.resize(6);
  if (kind == Zeros::packed) in[3] = bytes({n, d.zero_row()});
  if (kind == Zeros::floats) in[3] = floats({n, d.blocks()});
  if (bias) in[5] = floats({n});
  Attrs attrs{{"K", k}, {"N", n}, {"bits", bits}, {"block_size", block}};
  const Op& op = *find_op("com.microsoft", "MatMulNBits");
  ASSERT_TRUE(normalize_attrs(op, attrs).ok());
  std::vector<Tensor> want;
  const Status s = run_reference(op, attrs, in, 1, want);
  ASSERT_TRUE(s.ok()) << s.message();
  double largest = 0;
  for (int64_t i = 0; i < want[0].size(); ++i) largest = std::fmax(largest, std::fabs(want[0].at(i)));
  for (Isa isa : supported_isas()) {
    d.isa = isa;
    std::vector<float> first;
    for (int threads : {1, 3}) {
      ThreadPool pool(threads);
      Tensor scratch = Tensor::make(DType::u8, {nbits_scratch_bytes(d, threads)});
      std::vector<float> y(size_t(m * n) + 1, 77);
      NBitsArgs a{in[0].as<float>(), in[1].as<uint8_t>(), in[2].as<float>()};
      if (kind == Zeros::packed) a.packed_zeros = in[3].as<uint8_t>();
      if (kind == Zeros::floats) a.zeros = in[3].as<float>();
      if (bias) a.bias = in[5].as<float>();
      a.y = y.data();
      nbits_matmul(pool, d, a, scratch.data());
      for (int64_t i = 0; i < m * n; ++i)
        ASSERT_NEAR(y[size_t(i)], want[0].at(i), 2e-6 * largest) << isa_name(isa) << " " << i;
      ASSERT_EQ(y.back(), 77);
      if (first.empty()) first = y;
      ASSERT_EQ(y, first);
    }
  }
}

TEST(NBits, AgreesWithTheReference) {
  for (int64_t bits : {2, 4, 8})
    for (Zeros zeros : {Zeros::none, Zeros::packed, Zeros::floats})
      for (int64_t m : {1, 4, 9}) check(m, 70, 100, bits, 32, zeros, m > 1);
  check(2, 5, 33, 4, 16, Zeros::packed, false);
  check(7, 130, 513, 4, 512, Zeros::packed, true);
  check(1, 1, 1, 4, 16, Zeros::none, false);
  check(0, 4, 16, 4, 16, Zeros::none, false);
}

}  // namespace
}  // namespace tenon::cpu
