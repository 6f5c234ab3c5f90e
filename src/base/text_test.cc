// Text: building, splitting, parsing, wildcards, suggestions.
#include "base/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tenon {
namespace {

TEST(Text, Cat) {
  EXPECT_EQ(cat("Conv '", std::string("c1"), "': ", 3, ' ', true, " ", -7, " ", 1.5), "Conv 'c1': 3 true -7 1.5");
  EXPECT_EQ(cat(std::vector<int64_t>{1, 3, 224}), "[1, 3, 224]");
  EXPECT_EQ(cat(std::vector<int64_t>{}), "[]");
  EXPECT_EQ(cat(0.1f), "0.1");
  EXPECT_EQ(cat(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(cat(size_t(5), int8_t(-1), uint16_t(9)), "5-19");
  EXPECT_EQ(cat(NAN), "nan");
}

TEST(Text, NumbersReadBack) {
  for (double v : {0.1, 1e300, -2.2250738585072014e-308, 5e-324, 1.0 / 3, -0.0}) {
    double back = 1;
    ASSERT_TRUE(parse_double(cat(v), back));
    EXPECT_EQ(back, v);
    EXPECT_EQ(std::signbit(back), std::signbit(v));
  }
  int64_t i = 0;
  EXPECT_TRUE(parse_int("-9223372036854775808", i));
  EXPECT_EQ(i, std::numeric_limits<int64_t>::min());
  EXPECT_TRUE(parse_int("+5", i));
  EXPECT_EQ(i, 5);
  for (const char* bad : {"", "+", "-", "5 ", " 5", "5x", "0x10", "9223372036854775808", "1e3", "+-5", "++5"})
    EXPECT_FALSE(parse_int(bad, i)) << bad;
  double d;
  for (const char* bad : {"", "1.5.", "abc", "1e", "1,5", "+-1"}) EXPECT_FALSE(parse_double(bad, d)) << bad;
}

TEST(Text, SplitJoinTrim) {
  EXPECT_EQ(split("a,b,,c", ','), (std::vector<std::string>{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim("   "), "");
  EXPECT_TRUE(starts_with("tenon", "ten"));
  EXPECT_FALSE(starts_with("te", "ten"));
}

TEST(Text, Escape) {
  EXPECT_EQ(escape("a\"b\\c\nd\x01\x7f"), "a\\\"b\\\\c\\nd\\x01\\x7f");
  EXPECT_EQ(escape("größe"), "größe");
}

TEST(Text, Glob) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("conv*relu?", "conv_bn_relu1"));
  EXPECT_FALSE(glob_match("conv?", "conv"));
  EXPECT_TRUE(glob_match("a**b", "aXb"));
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*b", std::string(3000, 'a')));  // must not take exponential time
}

TEST(Text, Nearest) {
  EXPECT_EQ(nearest("precison", {"precision", "profile"}), "precision");
  EXPECT_EQ(nearest("xyz", {"precision", "profile"}), "");
  EXPECT_EQ(nearest("a", {}), "");
}

TEST(Text, HumanBytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(uint64_t(3) << 30), "3.0 GiB");
}

}  // namespace
}  // namespace tenon
