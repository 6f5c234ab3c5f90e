#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(UnflattenGemm, BecomesMatMul) {
  EXPECT_EQ(ops_of(expect_same_results("unflatten_gemm", R"(
graph "g" (%x: f32[n, s, 8]) -> (%y) {
  const %flat: i64[2] = [-1, 8]
  const %w: f32[4, 8] = random 1
  const %b: f32[4] = random 2
  %f = Reshape(%x, %flat)
  %y = Gemm(%f, %w, %b) {transB=1}
})")),
            "MatMul Add Reshape");
}

TEST(UnflattenGemm, JoinsHeads) {
  EXPECT_EQ(ops_of(expect_same_results("unflatten_gemm", R"(
graph "g" (%x: f32[n, s, 2, 4]) -> (%y) {
  const %flat: i64[2] = [-1, 8]
  const %w: f32[8, 4] = random 1
  %f = Reshape(%x, %flat)
  %y = Gemm(%f, %w)
})")),
            "Reshape MatMul Reshape");
}

TEST(UnflattenGemm, ABatchOfOneToo) {
  EXPECT_EQ(ops_of(expect_same_results("unflatten_gemm", R"(
graph "g" (%x: f32[1, s, 8], %r: f32[1, s, 4]) -> (%y) {
  const %flat: i64[2] = [-1, 8]
  const %back: i64[3] = [1, -1, 4]
  const %w: f32[8, 4] = random 1
  %f = Reshape(%x, %flat)
  %g = Gemm(%f, %w)
  %u = Reshape(%g, %back)
  %y = Add(%u, %r)
})")),
            "MatMul Reshape Reshape Add");
}

TEST(UnflattenGemm, OneRowAPictureStays) {
  EXPECT_EQ(ops_of(expect_same_results("unflatten_gemm", R"(
graph "g" (%x: f32[n, 1, 1, 8]) -> (%y) {
  const %flat: i64[2] = [-1, 8]
  const %w: f32[8, 4] = random 1
  %f = Reshape(%x, %flat)
  %y = Gemm(%f, %w)
})")),
            "Reshape Gemm");
}

}  // namespace
}  // namespace tenon
