// Families of cuda kernels on an emulated GPU, at sizes that the samples of the operator book do not have: large enough for
// each variant, with tails, and symbolic.
#include <gtest/gtest.h>

#include "cuda_emulator/on_emulator.h"

namespace tenon::emulator {
namespace {

// ---- products ----------------------------------------------------------------------------------------------------

// A graph of one MatMul; shapes as text, "" for B: constant.
std::string matmul(const std::string& type, const std::string& a, const std::string& b, bool constant = false) {
  return constant ? cat("graph \"g\" (%a: ", type, a, ") -> (%y) {\n const %b: ", type, b, " = random 1\n %y = MatMul(%a, %b)\n}")
                  : cat("graph \"g\" (%a: ", type, a, ", %b: ", type, b, ") -> (%y) { %y = MatMul(%a, %b) }");
}

class Products : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(CudaEmulated, Products, ::testing::Values("sm_80", "sm_90a"), [](auto& p) { return std::string(p.param); });

TEST_P(Products, OfAllTypes) {
  const std::string target = cat("cuda:", GetParam());
  for (const char* type : {"f16", "bf16", "f32", "f64"})
    for (bool constant : {false, true}) {
      EXPECT_TRUE(agrees_on_emulator(matmul(type, "[200, 136]", "[136, 72]", constant), {.target = target})) << type << constant;
      EXPECT_TRUE(agrees_on_emulator(matmul(type, "[67, 37]", "[37, 45]", constant), {.target = target})) << type << constant;
      EXPECT_TRUE(agrees_on_emulator(matmul(type, "[1, 300]", "[300, 77]", constant), {.target = target})) << type << constant;
      EXPECT_TRUE(agrees_on_emulator(matmul(type, "[3, 20, 64]", constant ? "[3, 64, 40]" : "[3, 64, 40]", constant), {.target = target})) << type << constant;
    }
}

TEST_P(Products, OfSymbolicSizes) {
  const std::string target = cat("cuda:", GetParam());
  for (const char* type : {"f16", "f32"}) {
    EXPECT_TRUE(agrees_on_emulator(matmul(type, "[m, 64]", "[64, 48]", true), {.target = target, .sizes = {{{"m", 1}}, {{"m", 2}}, {{"m", 33}}, {{"m", 130}}}})) << type;
    EXPECT_TRUE(agrees_on_emulator(matmul(type, "[b, m, k]", "[b, k, n]"), {.target = target, .sizes = {{{"b", 1}, {"m", 5}, {"k", 7}, {"n", 3}}, {{"b", 2}, {"m", 64}, {"k", 40}, {"n", 72}}}})) << type;
  }
}

TEST_P(Products, WithEpilogues) {
  const std::string target = cat("cuda:", GetParam());
  for (const char* type : {"f16", "f32"})
    EXPECT_TRUE(agrees_on_emulator(cat(R"(graph "g" (%x: )", type, R"([50, 64], %r: )", type, R"([50, 40]) -> (%y) {
      const %w: )", type, R"([64, 40] = random 1
      const %c: )", type, R"([40] = random 2
      %y: )", type, R"([50, 40] = tenon.Fused(%x, %w, %c, %r) {kind="matmul", body=graph "body" (%x: )", type, "[50, 64], %w: ", type, "[64, 40], %c: ", type, "[40], %r: ", type, R"([50, 40]) -> (%y) {
        %p = MatMul(%x, %w)
        %q = Add(%p, %c)
        %s = Add(%q, %r)
        %y = Relu(%s)
      }}
    })"), {.target = target})) << type;
}

TEST_P(Products, OfTf32) {
  // Ten bits of mantissa: the operands are rounded, so results are held to what that costs.
  EXPECT_TRUE(agrees_on_emulator(matmul("f32", "[128, 96]", "[96, 64]", true), {.target = cat("cuda:", GetParam()), .tf32 = true, .tolerance = Tolerance{1 << 14, 2}}));
}

// ---- convolutions ------------------------------------------------------------------------------------------------

std::string conv(const std::string& type, const std::string& x, const std::string& w, const std::string& attrs) {
  return cat("graph \"g\" (%x: ", type, x, ") -> (%y) {\n const %w: ", type, w, " = random 1\n const %b: ", type, w.substr(0, w.find(',')), "] = random 2\n %y = Conv(%x, %w, %b) {channels_last=1", attrs, "}\n}");
}

TEST_P(Products, Convolutions) {
  const std::string target = cat("cuda:", GetParam());
  for (const char* type : {"f16", "bf16", "f32"}) {
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[2, 9, 11, 16]", "[24, 16, 3, 3]", ", pads=[1, 1, 1, 1]"), {.target = target})) << type;
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[1, 12, 12, 3]", "[20, 3, 5, 5]", ", pads=[2, 2, 2, 2], strides=[2, 2]"), {.target = target})) << type;
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[2, 7, 7, 64]", "[72, 64, 1, 1]", ""), {.target = target})) << type;
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[1, 10, 13, 8]", "[8, 8, 3, 3]", ", dilations=[2, 2]"), {.target = target})) << type;
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[1, 9, 9, 32]", "[32, 1, 3, 3]", ", group=32, pads=[1, 1, 1, 1]"), {.target = target, .kernel = "conv.depthwise*"})) << type;
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[2, 8, 8, 16]", "[24, 8, 3, 3]", ", group=2, pads=[1, 1, 1, 1]"), {.target = target})) << type;
    EXPECT_TRUE(agrees_on_emulator(conv(type, "[n, h, 9, 16]", "[8, 16, 3, 3]", ", pads=[1, 1, 1, 1]"), {.target = target, .sizes = {{{"n", 1}, {"h", 5}}, {{"n", 3}, {"h", 8}}}})) << type;
  }
}

// ---- rows --------------------------------------------------------------------------------------------------------

TEST(CudaFamilies, Softmax) {
  for (const char* type : {"f32", "f16", "bf16"})
    for (int n : {1, 7, 33, 768, 1000, 5000, 40000})
      EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%x: ", type, "[3, ", n, "]) -> (%y) { %y = Softmax(%x) }"), {.kernel = "softmax.*"})) << type << n;
  EXPECT_TRUE(agrees_on_emulator("graph \"g\" (%x: f32[b, n]) -> (%y) { %y = Softmax(%x) }",
                                 {.sizes = {{{"b", 1}, {"n", 1}}, {{"b", 5}, {"n", 31}}, {{"b", 2}, {"n", 3000}}, {{"b", 0}, {"n", 4}}}}));
  EXPECT_TRUE(agrees_on_emulator("graph \"g\" (%x: f32[3, 40, 70]) -> (%y) { %y = Softmax(%x) {axis=1} }", {.kernel = "softmax.columns"}));
}

TEST(CudaFamilies, Norms) {
  for (const char* type : {"f32", "f16"})
    for (int n : {1, 30, 768, 3000, 20000})
      EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%x: ", type, "[5, ", n, "]) -> (%y) {\n const %s: ", type, "[", n, "] = random 1\n const %b: ", type, "[", n, "] = random 2\n %y = LayerNormalization(%x, %s, %b)\n}"), {.kernel = "norm.*"})) << type << n;
}

TEST(CudaFamilies, Reductions) {
  for (const char* op : {"ReduceSum", "ReduceMax", "ReduceMean", "ReduceL2"})
    for (const char* shape : {"[1, 70000]", "[5, 33]", "[40, 1000]"})
      for (int axis : {0, 1})
        EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%x: f32", shape, ") -> (%y) {\n const %a: i64[1] = [", axis, "]\n %y = ", op, "(%x, %a)\n}"), {.kernel = "reduce.*"})) << op << shape << axis;
}

TEST(CudaFamilies, Movement) {
  for (const char* type : {"f32", "f16", "i8", "i64"}) {
    EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%x: ", type, "[65, 130]) -> (%y) { %y = Transpose(%x) {perm=[1, 0]} }"))) << type;
    EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%x: ", type, "[3, 33, 5, 40]) -> (%y) { %y = Transpose(%x) {perm=[0, 2, 1, 3]} }"))) << type;
    EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%a: ", type, "[3, n, 8], %b: ", type, "[3, m, 8]) -> (%y) { %y = Concat(%a, %b) {axis=1} }"), {.sizes = {{{"n", 1}, {"m", 4}}, {{"n", 7}, {"m", 0}}}})) << type;
  }
}

TEST(CudaFamilies, TopK) {
  for (int n : {5, 100, 3000}) {
    std::vector<double> values;  // all different, so that the order is certain
    for (int i = 0; i < 2 * n; ++i) values.push_back((i * 7919) % (2 * n + 1));
    EXPECT_TRUE(agrees_on_emulator(cat("graph \"g\" (%x: f32[2, ", n, "]) -> (%v, %i) {\n const %k: i64[1] = [5]\n %v, %i = TopK(%x, %k)\n}"),
                                   {.inputs = {Tensor::of_floats(values).reshaped({2, n})}})) << n;
  }
}

}  // namespace
}  // namespace tenon::emulator
