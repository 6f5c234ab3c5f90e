#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(FuseAnchor, BiasAndActivation) {
  expect_pass("fuse_anchor", R"(
graph "g" (%x: f32[n, 3]) -> (%y) {
  const %w: f32[3, 2] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
  const %bias: f32[2] = [1.0, 2.0]
  const %half: f32[] = 0.5
  %c = MatMul(%x, %w) "fc"
  %b = Add(%bias, %c) "bias"
  %h = Mul(%b, %half) "half"
  %y = Relu(%h) "relu"
})",
              R"(
graph "g" (%x: f32[n, 3]) -> (%y) {
  const %w: f32[3, 2] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
  const %bias: f32[2] = [1.0, 2.0]
  %y: f32[n, 2] = tenon.Fused(%x, %w, %bias) {body=graph "matmul" (%x: f32[n, 3], %w: f32[3, 2], %bias: f32[2]) -> (%y) {
    const %half: f32[] = 0.5
    %c: f32[n, 2] = MatMul(%x, %w) "fc"
    %b: f32[n, 2] = Add(%bias, %c) "bias"
    %h: f32[n, 2] = Mul(%b, %half) "half"
    %y: f32[n, 2] = Relu(%h) "relu"
  }, kind="matmul"} "fc" from ["fc", "bias", "half", "relu"]
}
)");
}

std::string fused(const std::string& nodes) {
  return ops_of(expect_same_results("fuse_anchor", cat(R"(
graph "g" (%x: f32[n, 4, 6, 6], %r: f32[n, 4, 6, 6]) -> (%y) {
  const %w: f32[4, 4, 1, 1] = random 1
  const %v: f32[4, 4, 1, 1] = random 2
  const %k: f32[4, 1, 1] = random 3
  const %wide: f32[6] = random 4
)", nodes, "}")));
}

TEST(FuseAnchor, ResidualThatComesLater) {
  EXPECT_EQ(fused("%c = Conv(%x, %w) %d = Conv(%r, %v) %e = Relu(%d) %s = Add(%c, %e) %y = Relu(%s)"),
            "Fused(Conv Relu) Fused(Conv Add Relu)");
}

TEST(FuseAnchor, BothWaysToTheSameNode) {
  EXPECT_EQ(fused("%c = Conv(%x, %w) %s = Sigmoid(%c) %y = Mul(%c, %s)"), "Fused(Conv Sigmoid Mul)");
}

TEST(FuseAnchor, StopsWhereAValueIsSeenElsewhere) {
  EXPECT_EQ(fused("%c = Conv(%x, %w) %s = Relu(%c) %d = Conv(%s, %v) %y = Add(%s, %d)"), "Fused(Conv Relu) Fused(Conv Add)");
  EXPECT_EQ(fused("%c = Conv(%x, %w) %p = GlobalAveragePool(%c) %y = Mul(%c, %p)"), "Conv GlobalAveragePool Mul");
}

TEST(FuseAnchor, ChangesOfTypeOnTheWayOut) {
  const auto half = [](const std::string& nodes) {
    return ops_of(expect_same_results("fuse_anchor", cat(R"(
graph "g" (%x: f16[n, 8], %r: f32[n, 4]) -> (%y) {
  const %w: f16[8, 4] = random 1
)", nodes, "}")));
  };
  EXPECT_EQ(half("%c = MatMul(%x, %w) %y = Cast(%c) {to=1}"), "Fused(MatMul Cast)");
  EXPECT_EQ(half("%c = MatMul(%x, %w) %d = Cast(%c) {to=1} %y = Add(%d, %r)"), "Fused(MatMul Cast Add)");
  EXPECT_EQ(half("%c = MatMul(%x, %w) %d = Cast(%c) {to=1} %s = Sigmoid(%d) %y = Cast(%s) {to=10}"), "Fused(MatMul Cast Sigmoid Cast)");
  EXPECT_EQ(half("%c = MatMul(%x, %w) %y = Cast(%c) {to=6}"), "MatMul Cast");
}

TEST(FuseAnchor, OperandsAreChannelsOrFull) {
  EXPECT_EQ(fused("%c = Conv(%x, %w) %s = Mul(%c, %k) %y = Mul(%s, %wide)"), "Fused(Conv Mul) Mul");
}

}  // namespace
}  // namespace tenon
