#include "passes/pass_test.h"

namespace tenon {
namespace {

constexpr const char* kMoments = R"(
  const %s: f32[4] = [1.0, -2.0, 0.5, 3.0]
  const %b: f32[4] = [0.5, 1.0, -1.0, 0.0]
  const %m: f32[4] = [0.25, 0.5, 2.0, -1.0]
  const %v: f32[4] = [1.0, 0.5, 4.0, 0.25]
)";

std::string with_moments(const std::string& signature, const std::string& nodes) {
  return ops_of(expect_same_results("fold_scales", cat("graph \"g\" (", signature, ") -> (%y) {", kMoments, nodes, "}")));
}

TEST(FoldScales, BatchNormalizationIntoConv) {
  expect_pass("fold_scales", R"(
graph "g" (%x: f32[n, 1, 3]) -> (%y) {
  const %w: f32[2, 1, 1] = [1.0, 2.0]
  const %s: f32[2] = [2.0, 3.0]
  const %b: f32[2] = [0.5, 1.0]
  const %m: f32[2] = [1.0, -1.0]
  const %v: f32[2] = [1.0, 1.0]
  %c = Conv(%x, %w) "conv"
  %y = BatchNormalization(%c, %s, %b, %m, %v) {epsilon=0.0} "bn"
})",
              R"(
graph "g" (%x: f32[n, 1, 3]) -> (%y) {
  const %w.1: f32[2, 1, 1] = [2.0, 6.0]
  const %w.bias: f32[2] = [-1.5, 4.0]
  %y: f32[n, 2, 3] = Conv(%x, %w.1, %w.bias) "conv" from ["conv", "bn"]
}
)");
}

TEST(FoldScales, IntoEveryKindOfWeights) {
  EXPECT_EQ(with_moments("%x: f32[n, 3, 6, 6]", R"(
  const %w: f32[4, 3, 2, 2] = random 1
  %c = Conv(%x, %w, %b)
  %y = BatchNormalization(%c, %s, %b, %m, %v))"), "Conv");
  EXPECT_EQ(with_moments("%x: f32[n, 4, 6, 6]", R"(
  const %w: f32[4, 2, 2, 2] = random 1
  %c = ConvTranspose(%x, %w) {group=2}
  %y = BatchNormalization(%c, %s, %b, %m, %v))"), "ConvTranspose");
  EXPECT_EQ(with_moments("%x: f32[n, 3]", R"(
  const %w: f32[4, 3] = random 1
  %c = Gemm(%x, %w, %m) {transB=1, alpha=0.5, beta=2.0}
  %y = BatchNormalization(%c, %s, %b, %m, %v))"), "Gemm");
  EXPECT_EQ(with_moments("%x: f32[n, 3]", R"(
  const %w: f32[3, 4] = random 1
  %c = MatMul(%x, %w)
  %d = Mul(%s, %c)
  %y = Div(%d, %v))"), "MatMul");
}

TEST(FoldScales, ScalesAndShiftsIntoConv) {
  EXPECT_EQ(with_moments("%x: f32[n, 3, 6, 6]", R"(
  const %w: f32[4, 3, 2, 2] = random 1
  const %k: f32[4, 1, 1] = random 2
  const %one: f32[] = 1.5
  %c = Conv(%x, %w)
  %d = Mul(%c, %k)
  %e = Add(%k, %d)
  %f = Sub(%e, %one)
  %y = Div(%f, %one))"), "Conv");
}

TEST(FoldScales, AloneItIsMulAndAdd) {
  EXPECT_EQ(with_moments("%x: f32[n, 4, 3]", "  %y = BatchNormalization(%x, %s, %b, %m, %v)\n"), "Mul Add");
}

TEST(FoldScales, AValueThatOthersSeeStays) {
  EXPECT_EQ(with_moments("%x: f32[n, 3, 6, 6]", R"(
  const %w: f32[4, 3, 2, 2] = random 1
  const %k: f32[4, 1, 1] = random 2
  %c = Conv(%x, %w)
  %d = Mul(%c, %k)
  %y = Add(%c, %d))"), "Conv Mul Add");
}

}  // namespace
}  // namespace tenon
