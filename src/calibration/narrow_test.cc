#include "calibration/narrow.h"

#include <gtest/gtest.h>

#include "base/dtype.h"
#include "base/random.h"

namespace tenon {
namespace {

bool same(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b)); }

TEST(Narrow, AsConversionThereAndBack) {
  std::vector<float> numbers{0.0f, -0.0f, 65504.0f, 65519.99f, 65520.0f, -65520.0f, 0x1p-14f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, -0x1p-26f, 3.4028235e38f,
                             std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  Random random(1);
  for (int i = 0; i < 200000; ++i) {
    const auto bits = uint32_t(random.next());
    numbers.push_back(std::bit_cast<float>(bits));
    // In and around the range of f16, ties included.
    numbers.push_back(std::bit_cast<float>(((bits & 0x1fffffffu) % 0x12000000u) + 0x33000000u));
    numbers.push_back(std::bit_cast<float>((((bits & 0x1fffffffu) % 0x12000000u) + 0x33000000u) & ~0xfffu));
  }
  for (float v : numbers) {
    EXPECT_TRUE(same(narrow_f16(v), f16_to_f32(f32_to_f16(v)))) << v;
    EXPECT_TRUE(same(narrow_bf16(v), bf16_to_f32(f32_to_bf16(v)))) << v;
  }
}

TEST(Narrow, Tf32) {
  EXPECT_EQ(narrow_tf32(1 + 0x1p-11f), 1 + 0x1p-10f);
  EXPECT_EQ(narrow_tf32(1 + 0x1.fp-12f), 1.0f);
  EXPECT_EQ(narrow_tf32(-1 - 0x1p-11f), -1 - 0x1p-10f);
  EXPECT_TRUE(std::isinf(narrow_tf32(std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isnan(narrow_tf32(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace tenon
