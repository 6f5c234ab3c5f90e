#include "passes/pass_test.h"

namespace tenon {
namespace {

std::string found(const std::string& nodes, const PassOptions& options = {}) {
  const Graph g = parse_or_die(cat(R"(
graph "g" (%x: f32[b, 2, s, 8], %cos: f32[1, 1, s, 8], %sin: f32[1, 1, s, 8]) -> (%y) {
  const %zero: i64[1] = [0]
  const %half: i64[1] = [4]
  const %end: i64[1] = [9223372036854775807]
  const %last: i64[1] = [3]
  const %one: i64[1] = [1]
)", nodes, "}"));
  auto out = run_pass(*find_pass("find_rotary"), g, options);
  EXPECT_TRUE(out.ok()) << out.status().to_string();
  if (!out.ok()) return "";
  expect_same_results(g, *out);
  return ops_of(*out);
}

constexpr const char* kSlices = R"(
  %a = Mul(%x, %cos)
  %low = Slice(%x, %zero, %half, %last, %one)
  %high = Slice(%x, %half, %end, %last, %one)
  %n = Neg(%high)
  %r = Concat(%n, %low) {axis=-1}
  %b = Mul(%r, %sin)
  %y = Add(%a, %b)
)";

TEST(FindRotary, HalvesBySlices) { EXPECT_EQ(found(kSlices), "Fused(Mul Slice Slice Neg Concat Mul Add)"); }

TEST(FindRotary, HalvesBySplitAndOperandsTheOtherWay) {
  EXPECT_EQ(found(R"(
  %low, %high = Split(%x) {axis=3, num_outputs=2}
  %n = Neg(%high)
  %r = Concat(%n, %low) {axis=3}
  %b = Mul(%sin, %r)
  %a = Mul(%cos, %x)
  %y = Add(%b, %a)
)"),
            "Fused(Mul Split Neg Concat Mul Add)");
}

TEST(FindRotary, OtherSums) {
  // The first half is negated; the halves are put together as they were; another tensor is turned; somebody reads the product.
  EXPECT_EQ(found(R"(
  %a = Mul(%x, %cos)
  %low, %high = Split(%x) {axis=3, num_outputs=2}
  %n = Neg(%low)
  %r = Concat(%n, %high) {axis=3}
  %b = Mul(%r, %sin)
  %y = Add(%a, %b)
)"),
            "Mul Split Neg Concat Mul Add");
  EXPECT_EQ(found(R"(
  %z = Relu(%x)
  %a = Mul(%z, %cos)
  %low, %high = Split(%x) {axis=3, num_outputs=2}
  %n = Neg(%high)
  %r = Concat(%n, %low) {axis=3}
  %b = Mul(%r, %sin)
  %y = Add(%a, %b)
)"),
            "Relu Mul Split Neg Concat Mul Add");
  EXPECT_EQ(found(R"(
  %a = Mul(%x, %cos)
  %low, %high = Split(%x) {axis=3, num_outputs=2}
  %n = Neg(%high)
  %r = Concat(%n, %low) {axis=3}
  %b = Mul(%r, %sin)
  %t = Add(%a, %b)
  %y = Sub(%t, %a)
)"),
            "Mul Split Neg Concat Mul Add Sub");
}

TEST(FindRotary, OnlyWhereThereIsAKernel) {
  PassOptions options;
  options.has_kernel = [](const Graph&, const Node& node) { return node.attrs.s("kind") != "rotary"; };
  EXPECT_EQ(found(kSlices, options), "Mul Slice Slice Neg Concat Mul Add");
}

}  // namespace
}  // namespace tenon
