#include "passes/pass_test.h"

namespace tenon {
namespace {

std::string split(const std::string& inputs, const std::string& names, const std::string& equation) {
  return ops_of(expect_same_results("split_einsum", "graph \"g\" (" + inputs + ") -> (%y) { %y = Einsum(" +
                                                        names + ") {equation=\"" + equation + "\"} }"));
}
std::string split2(const std::string& x, const std::string& z, const std::string& equation) {
  return split("%x: f32[" + x + "], %z: f32[" + z + "]", "%x, %z", equation);
}

TEST(SplitEinsum, ProductsBecomeMatMul) {
  EXPECT_EQ(split2("b, h, i, 8", "b, h, j, 8", "bhid,bhjd->bhij"), "Transpose MatMul Identity");
  EXPECT_EQ(split2("b, h, i, j", "b, h, j, 8", "b h i j, b h j d -> b i h d"), "MatMul Transpose Identity");
  EXPECT_EQ(split2("3, 4", "4, 5", "ij,jk"), "MatMul Identity");
  EXPECT_EQ(split2("2, 3, 4", "5, 3, 4", "bij,kij->bk"), "Transpose Reshape Reshape MatMul Identity");
  EXPECT_EQ(split2("n, 4, 8", "4, 8, 5", "nhd,hdk->nk"), "Reshape Reshape MatMul Identity");
  EXPECT_EQ(split2("2, s, 6", "4, 6, 5", "bsd,edf->besf"),
            "Transpose Reshape MatMul Reshape Transpose Identity");
}

TEST(SplitEinsum, FreeRowsStayDimensions) {
  EXPECT_EQ(split2("a, b, 4", "4, 5", "ijk,kl->ijl"), "MatMul Identity");
  EXPECT_EQ(split2("a, 3, b, 4", "3, 4, 5", "bhid,hde->bhie"), "MatMul Identity");
}

TEST(SplitEinsum, VectorsGetARowOrAColumn) {
  EXPECT_EQ(split2("b, 4, 5", "b, 4", "bij,bi->bj"), "Transpose Reshape MatMul Reshape Identity");
  EXPECT_EQ(split2("5", "5", "i,i->"), "Reshape Reshape MatMul Reshape Identity");
}

TEST(SplitEinsum, WithoutASumItIsMul) {
  EXPECT_EQ(split2("b, 4, 5", "b, 4", "bij,bi->bij"), "Unsqueeze Mul Identity");
  EXPECT_EQ(split2("3", "4", "i,j->ji"), "Unsqueeze Unsqueeze Mul Identity");
  EXPECT_EQ(split2("2, 3, 5", "1, 5", "...k,...k->...k"), "Unsqueeze Mul Identity");
}

TEST(SplitEinsum, LabelsOfOneOperandAreSummedFirst) {
  EXPECT_EQ(split2("3, 4, 6", "4, 5", "ijq,jk->ik"), "ReduceSum MatMul Identity");
  EXPECT_EQ(split("%x: f32[3, n, 6]", "%x", "ijk->ki"), "ReduceSum Transpose Identity");
}

TEST(SplitEinsum, ManyOperandsGoFromLeftToRight) {
  EXPECT_EQ(split("%x: f32[3, 4], %z: f32[4, 5], %w: f32[5]", "%x, %z, %w", "ij,jk,k->i"),
            "MatMul Reshape MatMul Reshape Identity");
}

TEST(SplitEinsum, DiagonalsAndBroadcastSumsStay) {
  EXPECT_EQ(split("%x: f32[3, 3]", "%x", "ii->i"), "Einsum");
  EXPECT_EQ(split2("3, 1", "4, 5", "ij,jk->ik"), "Einsum");
  EXPECT_EQ(split2("a, b, 4", "c, d, 4", "ijk,lmk->ijlm"), "Einsum");
}

}  // namespace
}  // namespace tenon
