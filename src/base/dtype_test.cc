// Data types: every code of the narrow floats, rounding against a search over all codes, packing, conversions.
#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <vector>

namespace tenon {
namespace {

const DType kNarrow[] = {DType::f16,    DType::bf16,       DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2,
                         DType::f8e5m2fnuz, DType::f4e2m1, DType::f6e2m3,   DType::f6e3m2};
const double kInf = std::numeric_limits<double>::infinity();

TEST(DType, Table) {
  for (int i = 1; i < kNumDTypes; ++i) EXPECT_EQ(dtype_from_name(name(DType(i))), DType(i));
  EXPECT_EQ(dtype_from_name("float33"), DType::none);
  EXPECT_EQ(info(DType(255)).bits, 0);
  EXPECT_EQ(byte_size(DType::i4, 3), 2);
  EXPECT_EQ(byte_size(DType::u2, 5), 2);
  EXPECT_EQ(byte_size(DType::f6e2m3, 3), 3);
  EXPECT_EQ(byte_size(DType::c128, int64_t(1) << 56), int64_t(1) << 60);
  EXPECT_TRUE(kAny.contains(DType::f6e3m2));
  EXPECT_FALSE(kAny.contains(DType::str));
}

TEST(DType, EveryCodeRoundTrips) {
  for (DType t : kNarrow)
    for (uint32_t code = 0; code < 1u << bits(t); ++code) {
      const double v = decode_float(t, code);
      const uint32_t back = encode_float(t, v, /*saturate=*/false);
      if (std::isnan(v)) EXPECT_TRUE(std::isnan(decode_float(t, back))) << name(t) << " " << code;
      else EXPECT_EQ(back, code) << name(t);
    }
  for (uint32_t code = 0; code < 256; ++code)
    for (PowerRound r : {PowerRound::up, PowerRound::down, PowerRound::nearest})
      EXPECT_EQ(encode_float(DType::f8e8m0, decode_float(DType::f8e8m0, code), false, r), code);
}

TEST(DType, KnownValues) {
  EXPECT_EQ(decode_float(DType::f16, 0x7bff), 65504);
  EXPECT_EQ(decode_float(DType::f16, 1), std::ldexp(1, -24));
  EXPECT_EQ(decode_float(DType::f8e4m3fn, 0x7e), 448);
  EXPECT_EQ(decode_float(DType::f8e4m3fnuz, 0x7f), 240);
  EXPECT_EQ(decode_float(DType::f8e5m2, 0x7b), 57344);
  EXPECT_EQ(decode_float(DType::f8e5m2fnuz, 0x7f), 57344);
  EXPECT_EQ(decode_float(DType::f4e2m1, 7), 6);
  EXPECT_EQ(decode_float(DType::f6e2m3, 31), 7.5);
  EXPECT_EQ(decode_float(DType::f6e3m2, 31), 28);
  EXPECT_EQ(decode_float(DType::f8e8m0, 127), 1);
  EXPECT_TRUE(std::isnan(decode_float(DType::f8e8m0, 255)));
  EXPECT_TRUE(std::isinf(decode_float(DType::f8e5m2, 0x7c)));
  EXPECT_TRUE(std::isnan(decode_float(DType::f8e4m3fnuz, 0x80)));
}

// Between any two neighbours the nearer one is chosen, the even code in the middle.
TEST(DType, RoundsToNearestEven) {
  for (DType t : kNarrow) {
    std::map<double, uint32_t> finite;
    for (uint32_t code = 0; code < 1u << (bits(t) - 1); ++code)
      if (double v = decode_float(t, code); std::isfinite(v)) finite[v] = code;
    for (auto low = finite.begin(), high = std::next(low); high != finite.end(); ++low, ++high) {
      const double middle = (low->first + high->first) / 2;
      const uint32_t even = low->second % 2 == 0 ? low->second : high->second;
      const uint32_t sign = 1u << (bits(t) - 1);
      EXPECT_EQ(encode_float(t, middle), even) << name(t) << " " << middle;
      EXPECT_EQ(encode_float(t, std::nextafter(middle, 0)), low->second) << name(t) << " " << middle;
      EXPECT_EQ(encode_float(t, std::nextafter(middle, kInf)), high->second) << name(t) << " " << middle;
      const bool fnuz = t == DType::f8e4m3fnuz || t == DType::f8e5m2fnuz;
      EXPECT_EQ(encode_float(t, -middle), fnuz && even == 0 ? 0 : sign | even) << name(t) << " " << -middle;
    }
    EXPECT_EQ(encode_float(t, 1e-300), 0u) << name(t);
    EXPECT_EQ(encode_float(t, std::numeric_limits<double>::denorm_min()), 0u) << name(t);
  }
}

TEST(DType, Overflow) {
  struct Case {
    DType t;
    double largest;
    bool nan;  // without saturation: NaN, else infinity
  };
  for (auto [t, largest, nan] : {Case{DType::f8e4m3fn, 448, true}, Case{DType::f8e4m3fnuz, 240, true},
                                 Case{DType::f8e5m2, 57344, false}, Case{DType::f8e5m2fnuz, 57344, true}}) {
    for (double v : {largest * 2, 1e300, kInf})
      for (double sign : {1.0, -1.0}) {
        EXPECT_EQ(decode_float(t, encode_float(t, sign * v)), sign * largest) << name(t);
        const double open = decode_float(t, encode_float(t, sign * v, false));
        if (nan) EXPECT_TRUE(std::isnan(open)) << name(t);
        else EXPECT_EQ(open, sign * kInf) << name(t);
      }
    EXPECT_EQ(decode_float(t, encode_float(t, largest * 1.01)), largest);
    EXPECT_EQ(decode_float(t, encode_float(t, largest * 1.01, false)), largest);  // rounds down to it
    EXPECT_TRUE(std::isnan(decode_float(t, encode_float(t, NAN))));
  }
  for (bool saturate : {false, true}) {
    EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, 1e6, saturate)), kInf);
    EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, 65519.99, saturate)), 65504);
    EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, 65520, saturate)), kInf);
    EXPECT_EQ(decode_float(DType::bf16, encode_float(DType::bf16, -1e39, saturate)), -kInf);
    EXPECT_EQ(decode_float(DType::f4e2m1, encode_float(DType::f4e2m1, -99, saturate)), -6);
    EXPECT_EQ(decode_float(DType::f6e2m3, encode_float(DType::f6e2m3, kInf, saturate)), 7.5);
    EXPECT_EQ(encode_float(DType::f4e2m1, NAN, saturate), 8u);
  }
}

TEST(DType, PowersOfTwo) {
  auto round = [](double v, PowerRound r, bool saturate = true) {
    return decode_float(DType::f8e8m0, encode_float(DType::f8e8m0, v, saturate, r));
  };
  EXPECT_EQ(round(3, PowerRound::up), 4);
  EXPECT_EQ(round(3, PowerRound::down), 2);
  EXPECT_EQ(round(3, PowerRound::nearest), 4);
  EXPECT_EQ(round(2.9, PowerRound::nearest), 2);
  EXPECT_EQ(round(2.1, PowerRound::up), 4);
  EXPECT_EQ(round(-2, PowerRound::up), 2);
  EXPECT_EQ(round(0, PowerRound::up), std::ldexp(1, -127));
  EXPECT_EQ(round(kInf, PowerRound::up), std::ldexp(1, 127));
  EXPECT_EQ(round(1e300, PowerRound::up), std::ldexp(1, 127));
  EXPECT_EQ(round(1e-300, PowerRound::down), std::ldexp(1, -127));
  for (double v : {0.0, kInf, 1e300, 1e-300}) EXPECT_TRUE(std::isnan(round(v, PowerRound::nearest, false))) << v;
}

TEST(DType, FastPathsAgree) {
  uint32_t state = 1;
  for (int i = 0; i < 200000; ++i) {
    state = state * 1664525 + 1013904223;
    float f;
    std::memcpy(&f, &state, 4);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(f))));
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f))));
      continue;
    }
    EXPECT_EQ(f32_to_bf16(f), encode_float(DType::bf16, f)) << f;
    EXPECT_EQ(f16_to_f32(f32_to_f16(f)), decode_float(DType::f16, encode_float(DType::f16, f))) << f;
  }
}

TEST(DType, PackedElementsLeaveTheirNeighboursAlone) {
  for (DType t : {DType::i4, DType::u4, DType::i2, DType::u2, DType::f4e2m1, DType::f6e2m3, DType::f6e3m2}) {
    const int n = 13;
    std::vector<uint8_t> bytes(size_t(byte_size(t, n)), 0), ones(bytes.size(), 0xff);
    for (int i = 0; i < n; ++i) {
      store_double(t, bytes.data(), i, i % 2);
      store_double(t, ones.data(), i, i % 2);
    }
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(load_double(t, bytes.data(), i), i % 2) << name(t);
      EXPECT_EQ(load_int(t, ones.data(), i), i % 2) << name(t);
    }
  }
  uint8_t byte = 0;
  store_int(DType::i4, &byte, 1, -3);
  EXPECT_EQ(byte, 0xd0);
  EXPECT_EQ(load_int(DType::i4, &byte, 1), -3);
  store_int(DType::i2, &byte, 0, -2);
  EXPECT_EQ(load_int(DType::i2, &byte, 0), -2);
  EXPECT_EQ(load_int(DType::i4, &byte, 1), -3);
}

TEST(DType, IntegersAndDoubles) {
  int64_t big = 0;
  store_double(DType::u64, &big, 0, 18446744073709549568.0);
  EXPECT_EQ(uint64_t(big), 18446744073709549568u);
  store_double(DType::i64, &big, 0, 1e300);
  EXPECT_EQ(big, std::numeric_limits<int64_t>::max());
  store_double(DType::u64, &big, 0, 1e300);
  EXPECT_EQ(uint64_t(big), std::numeric_limits<uint64_t>::max());
  store_double(DType::i64, &big, 0, NAN);
  EXPECT_EQ(big, 0);
  store_double(DType::i64, &big, 0, -kInf);
  EXPECT_EQ(big, std::numeric_limits<int64_t>::min());
  uint8_t truth = 2;
  EXPECT_EQ(load_int(DType::boolean, &truth, 0), 1);
  EXPECT_EQ(load_double(DType::boolean, &truth, 0), 1);
  store_double(DType::boolean, &truth, 0, NAN);
  EXPECT_EQ(truth, 1);
  int8_t small = 0;
  store_int(DType::i8, &small, 0, 200);
  EXPECT_EQ(small, -56);
  float f = -1.9f;
  EXPECT_EQ(load_int(DType::f32, &f, 0), -1);
  EXPECT_EQ(load_int(DType::str, &f, 1000000), 0);  // no such elements: nothing is read
}

}  // namespace
}  // namespace tenon
