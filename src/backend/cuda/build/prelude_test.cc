// base.cuh as plain C++: its conversions and its arithmetic against the library's own.
#include "backend/cuda/build/prelude.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/dtype.h"

namespace device {
// What base.cuh asks of ptx.cuh, for the host.
#define DEVICE inline
#define UNROLL
#define HARDWARE_FP8 0
struct {
  unsigned x = 0;
} threadIdx;
inline void __syncthreads() {}
template <class T>
T shuffle_xor(T v, int) { return v; }
inline unsigned float_bits(float v) { return std::bit_cast<unsigned>(v); }
inline float float_from_bits(unsigned v) { return std::bit_cast<float>(v); }
inline unsigned long long double_bits(double v) { return std::bit_cast<unsigned long long>(v); }
inline float min_nan(float a, float b) { return a != a ? a : b != b ? b : a < b ? a : b; }
inline float max_nan(float a, float b) { return a != a ? a : b != b ? b : a < b ? b : a; }
// As the hardware's approximations: subnormal numbers are zero.
inline float flushed(float v) { return std::fabs(v) < 0x1p-126f ? std::copysign(0.f, v) : v; }
inline float fast_exp2(float v) { return flushed(std::exp2(flushed(v))); }
inline float fast_reciprocal(float v) { return flushed(1 / flushed(v)); }
inline unsigned short float_to_f16(float v) { return tenon::f32_to_f16(v); }
inline float f16_to_float(unsigned short v) { return tenon::f16_to_f32(v); }
inline unsigned short float_to_bf16(float v) { return tenon::f32_to_bf16(v); }
inline float bf16_to_float(unsigned short v) { return tenon::bf16_to_f32(v); }
#include "backend/cuda/build/prelude/base.cuh"
}  // namespace device

namespace tenon::cuda {
namespace {

// Floats around every border of the small types, and at random.
std::vector<float> floats() {
  std::vector<float> out = {0.f, -0.f, INFINITY, -INFINITY, NAN, -NAN, 1e-45f, -1e-45f, 3e38f};
  for (DType t : {DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz, DType::f8e8m0, DType::f4e2m1})
    for (uint32_t code = 0; code < 256; ++code) {
      const float v = float(decode_float(t, code & ((1u << bits(t)) - 1)));
      for (float scale : {1.f, 1.0625f, 1.125f, 1.25f, 1.5f, 1.75f})
        for (float x : {v * scale, std::nextafter(v * scale, 1e30f), std::nextafter(v * scale, -1e30f)}) out.push_back(x);
    }
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) out.push_back(std::bit_cast<float>(uint32_t(random())));
  return out;
}

template <class Small>
void expect_like(DType t) {
  for (bool saturate : {true, false})
    for (float v : floats())
      ASSERT_EQ(Small::encode(v, saturate), encode_float(t, v, saturate)) << name(t) << " of " << v << " saturate " << saturate;
  for (uint32_t code = 0; code < (1u << bits(t)); ++code) {
    const double is = Small::decode(code), must = decode_float(t, code);
    ASSERT_TRUE(is == must || (std::isnan(is) && std::isnan(must))) << name(t) << " code " << code << ": " << is << ", not " << must;
    ASSERT_EQ(std::signbit(is) && !std::isnan(is), std::signbit(must) && !std::isnan(must)) << name(t) << " code " << code;
  }
}

TEST(Prelude, SmallFloatsAreThoseOfTheLibrary) {
  expect_like<device::E4M3fn>(DType::f8e4m3fn);
  expect_like<device::E4M3fnuz>(DType::f8e4m3fnuz);
  expect_like<device::E5M2>(DType::f8e5m2);
  expect_like<device::E5M2fnuz>(DType::f8e5m2fnuz);
  expect_like<device::E2M3>(DType::f6e2m3);
  expect_like<device::E3M2>(DType::f6e3m2);
  expect_like<device::E2M1>(DType::f4e2m1);
}

TEST(Prelude, PowersOfTwo) {
  for (int round = 0; round < 3; ++round)
    for (bool saturate : {true, false})
      for (float v : floats())
        ASSERT_EQ(device::encode_power(v, saturate, round), encode_float(DType::f8e8m0, v, saturate, PowerRound(round)))
            << v << " round " << round << " saturate " << saturate;
  for (uint32_t code = 0; code < 255; ++code) EXPECT_EQ(device::decode_power(code), decode_float(DType::f8e8m0, code)) << code;
  EXPECT_TRUE(std::isnan(device::decode_power(255)));
}

TEST(Prelude, DoublesAreRoundedOnce) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200000; ++i) {
    // Near the middle between two neighbours of f16, where rounding to float first goes wrong.
    const double base = decode_float(DType::f16, uint32_t(random() & 0x7bff));
    const double next = decode_float(DType::f16, uint32_t(encode_float(DType::f16, base)) + 1);
    const double v = (base + next) / 2 * (1 + (double(random() % 5) - 2) * 1e-15) * (random() % 2 ? 1 : -1);
    if (std::isinf(v)) continue;
    ASSERT_EQ(f32_to_f16(device::to_odd(v)), encode_float(DType::f16, v)) << v;
    ASSERT_EQ(f32_to_bf16(device::to_odd(v)), encode_float(DType::bf16, v)) << v;
  }
  EXPECT_EQ(device::to_odd(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(device::to_odd(NAN)));
  EXPECT_EQ(f32_to_bf16(device::to_odd(1e300)), encode_float(DType::bf16, 1e300));
}

TEST(Prelude, IntegersFollowTheRulesOfScalarPrograms) {
  using namespace device;
  EXPECT_EQ(int_div(7, 0), 0);
  EXPECT_EQ(int_div(INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(int_div((long long)INT64_MIN, -1ll), INT64_MIN);
  EXPECT_EQ(int_div(-7, 2), -3);
  EXPECT_EQ(int_rem(-7, 2), -1);
  EXPECT_EQ(int_mod(-7, 2), 1);
  EXPECT_EQ(int_mod(7, -2), -1);
  EXPECT_EQ(int_mod(7u, 2u), 1u);
  EXPECT_EQ(int_mod(INT32_MIN, -1), 0);
  EXPECT_EQ(int_mod(5, 0), 0);
  EXPECT_EQ(int_pow(3, 4), 81);
  EXPECT_EQ(int_pow(2, -1), 0);
  EXPECT_EQ(int_pow(-1, -3), -1);
  EXPECT_EQ(int_pow(0, 0), 1);
  EXPECT_EQ(shift_left(1u, -1, 32), 0u);
  EXPECT_EQ(shift_left(1u, 32u, 32), 0u);
  EXPECT_EQ(shift_left(1u, 31u, 32), 1u << 31);
  EXPECT_EQ(shift_right(0x80u, 8u, 8), 0u);
  EXPECT_EQ(shift_right_signed(-5, 100), -1);
  EXPECT_EQ(shift_right_signed(-5, -1), -1);
  EXPECT_EQ(shift_right_signed(-8ll, 2ll), -2);
}

TEST(Prelude, FloatsToIntegers) {
  using namespace device;
  for (double v : {0.0, 1.5, -1.5, 2147483647.0, 2147483648.0, -2147483649.0, 3e9, -3e9, 9.3e18, -9.3e18, 1e30, -1e30, 1.8e19, 2e19,
                   double(INFINITY), double(-INFINITY), double(NAN)}) {
    int64_t must;
    store_double(DType::i64, &must, 0, v);
    EXPECT_EQ(to_i64(v), must) << v;
    EXPECT_EQ(to_i32(v), int32_t(must)) << v;
    EXPECT_EQ(to_i32(float(v)), int32_t(load_int(DType::f32, std::vector<float>{float(v)}.data(), 0))) << v;
    uint64_t bits;
    store_double(DType::u64, &bits, 0, v);
    EXPECT_EQ(to_u64(v), bits) << v;
  }
}

// All float16, and what lies between.
TEST(Prelude, NarrowFunctionsAreTrueTo16Bits) {
  struct {
    const char* name;
    float (*is)(float);
    double (*must)(double);
    double relative, absolute;
  } functions[] = {{"exp", device::exp_narrow, [](double v) { return std::exp(v); }, 1e-5, 1.2e-38},
                   {"sigmoid", device::sigmoid_narrow, [](double v) { return 1 / (1 + std::exp(-v)); }, 1e-5, 1.2e-38},
                   {"tanh", device::tanh_narrow, [](double v) { return std::tanh(v); }, 1e-5, 1.2e-38},
                   {"1 + tanh", device::one_plus_tanh_narrow, [](double v) { return 2 / (1 + std::exp(-2 * v)); }, 1e-5, 1.2e-38},
                   {"1 + erf", device::one_plus_erf_narrow, [](double v) { return std::erfc(-v); }, 1e-5, 1.5e-6},
                   {"erf", device::erf_narrow, [](double v) { return std::erf(v); }, 1e-5, 1.3e-5}};
  for (const auto& f : functions) {
    for (uint32_t code = 0; code < 65536; ++code)
      for (float scale : {1.f, 1.0003f, 1e-6f}) {
        const float x = f16_to_f32(uint16_t(code)) * scale;
        const double must = f.must(x), is = f.is(x);
        if (std::isnan(must) || std::fabs(must) > 3e38) ASSERT_TRUE(std::isnan(must) ? std::isnan(is) : is > 3e38) << f.name << " of " << x << ": " << is;
        else ASSERT_NEAR(is, must, std::fabs(must) * f.relative + f.absolute) << f.name << " of " << x;
      }
    EXPECT_TRUE(std::isnan(f.is(NAN)));
  }
  EXPECT_EQ(device::erf_narrow(INFINITY), 1);
  EXPECT_EQ(device::erf_narrow(-INFINITY), -1);
  EXPECT_EQ(device::one_plus_erf_narrow(-20.f), 0);  // so that Gelu of what lies far below is zero
  EXPECT_EQ(device::tanh_narrow(-INFINITY), -1);
}

TEST(Prelude, EveryFileIsEmbeddedInOrder) {
  std::vector<std::string> names;
  for (const PreludeFile& f : prelude_files()) names.push_back(f.name);
  ASSERT_GE(names.size(), 2u);
  EXPECT_EQ(names[0], "ptx.cuh");
  EXPECT_EQ(names[1], "base.cuh");
  for (const Chip& c : chips()) EXPECT_NE(prelude(c).find("struct SmallFloat"), std::string::npos);
}

}  // namespace
}  // namespace tenon::cuda
