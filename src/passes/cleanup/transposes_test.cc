#include "passes/pass_test.h"

namespace tenon {
namespace {

TEST(Transposes, CancelThroughElementwiseNodes) {
  expect_pass("transposes", R"(
graph "g" (%x: f32[n, 5, 6, 3], %r: f32[n, 5, 6, 3]) -> (%y) {
  const %c: f32[3, 1, 1] = [1.0, 2.0, 3.0]
  const %half: f32[] = 0.5
  %t = Transpose(%x) {perm=[0, 3, 1, 2]}
  %u = Transpose(%r) {perm=[0, 3, 1, 2]}
  %a = Mul(%t, %c)
  %b = Add(%a, %u)
  %h = Mul(%half, %b)
  %y = Transpose(%h) {perm=[0, 2, 3, 1]}
})",
              R"(
graph "g" (%x: f32[n, 5, 6, 3], %r: f32[n, 5, 6, 3]) -> (%h.1 "y") {
  const %half: f32[] = 0.5
  const %c.1: f32[3] = [1.0, 2.0, 3.0]
  %a.1: f32[n, 5, 6, 3] = Mul(%x, %c.1)
  %b.1: f32[n, 5, 6, 3] = Add(%a.1, %r)
  %h.1: f32[n, 5, 6, 3] = Mul(%half, %b.1)
}
)");
}

// One Transpose, one node, one Transpose back.
std::string through(const std::string& node, const std::string& back = "[0, 2, 3, 1]") {
  return ops_of(expect_same_results("transposes", cat(R"(
graph "g" (%x: f32[n, 5, 6, 3]) -> (%y) {
  const %axes: i64[2] = [2, 3]
  const %spatial: i64[2] = [-1, 2]
  const %one: i64[1] = [1]
  const %two: i64[1] = [2]
  const %pads: i64[8] = [0, 0, 1, 2, 0, 0, 3, 4]
  const %scales: f32[4] = [1.0, 1.0, 2.0, 3.0]
  const %scale: f32[3] = [1.0, 2.0, 3.0]
  const %zero: i8[3] = [0, 1, 2]
  %t = Transpose(%x) {perm=[0, 3, 1, 2]}
  %o = )", node, "\n  %y = Transpose(%o) {perm=", back, "}\n}")));
}

TEST(Transposes, MoveThrough) {
  EXPECT_EQ(through("Concat(%t, %t) {axis=1}"), "Concat");
  EXPECT_EQ(through("ReduceMean(%t, %spatial)"), "ReduceMean");
  EXPECT_EQ(through("ReduceMax(%t, %one)"), "ReduceMax");
  EXPECT_EQ(through("GlobalAveragePool(%t)"), "ReduceMean");
  EXPECT_EQ(through("ArgMax(%t) {axis=1}"), "ArgMax");
  EXPECT_EQ(through("Softmax(%t) {axis=1}"), "Softmax");
  EXPECT_EQ(through("Slice(%t, %one, %two, %two)"), "Slice");
  EXPECT_EQ(through("Slice(%t, %one, %two)"), "Slice");
  EXPECT_EQ(through("Pad(%t, %pads)"), "Pad");
  EXPECT_EQ(through("Pad(%t, %pads) {mode=\"edge\"}"), "Pad");
  EXPECT_EQ(through("Resize(%t, _, %scales) {mode=\"linear\"}"), "Resize");
  EXPECT_EQ(through("QuantizeLinear(%t, %scale, %zero) {axis=1}"), "QuantizeLinear");
  EXPECT_EQ(through("ReduceMean(%t, %axes) {keepdims=0}", "[1, 0]"), "ReduceMean Transpose");
  EXPECT_EQ(through("ReduceSum(%t, %one) {keepdims=0}", "[0, 2, 1]"), "ReduceSum Transpose");
}

TEST(Transposes, StaysInFrontOfAnAnswerThatGrows) {
  const auto after = [](const std::string& scales, const std::string& rest) {
    return ops_of(expect_same_results("transposes", cat(R"(
graph "g" (%x: f32[2, 6, 8, 3]) -> (%y) {
  const %scales: f32[4] = )", scales, R"(
  %t = Transpose(%x) {perm=[0, 3, 1, 2]}
  )", rest, "}")));
  };
  EXPECT_EQ(after("[1.0, 1.0, 2.0, 3.0]", "%y = Resize(%t, _, %scales) {mode=\"linear\"}"), "Transpose Resize");
  EXPECT_EQ(after("[1.0, 1.0, 2.0, 3.0]", "%z = Resize(%t, _, %scales) {mode=\"linear\"} %y = Relu(%z)"), "Resize Relu Transpose");
  EXPECT_EQ(after("[1.0, 1.0, 0.5, 0.5]", "%y = Resize(%t, _, %scales) {mode=\"linear\"}"), "Resize Transpose");
}

TEST(Transposes, MergeTwo) {
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 5, 6]) -> (%y) {
  %t = Transpose(%x) {perm=[1, 0, 2]}
  %y = Transpose(%t) {perm=[2, 1, 0]}
})")),
            "Transpose");
}

TEST(Transposes, SplitAndMeetAgain) {
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 5, 6, 4]) -> (%y) {
  %t = Transpose(%x) {perm=[0, 3, 1, 2]}
  %a, %b = Split(%t) {axis=1, num_outputs=2}
  %s = Sigmoid(%a)
  %m = Mul(%s, %b)
  %y = Transpose(%m) {perm=[0, 2, 3, 1]}
})")),
            "Split Sigmoid Mul");
}

TEST(Transposes, ThroughReshape) {
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 5, 6, 3]) -> (%y) {
  const %s: i64[3] = [0, 3, -1]
  %t = Transpose(%x) {perm=[0, 3, 1, 2]}
  %r = Reshape(%t, %s)
  %y = Transpose(%r) {perm=[0, 2, 1]}
})")),
            "Reshape");
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 30, 3]) -> (%y) {
  const %s: i64[5] = [0, 3, 1, 5, 6]
  %t = Transpose(%x) {perm=[0, 2, 1]}
  %r = Reshape(%t, %s)
  %y = Transpose(%r) {perm=[0, 3, 4, 1, 2]}
})")),
            "Reshape");
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 2, 5, 3]) -> (%y) {
  const %s: i64[3] = [0, 0, 6]
  %t = Transpose(%x) {perm=[0, 2, 1, 3]}
  %y = Reshape(%t, %s)
})")),
            "Transpose Reshape");
}

TEST(Transposes, ThroughProductWithAMatrix) {
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 5, 3]) -> (%y) {
  const %w: f32[3, 2] = random 1
  %t = Transpose(%x) {perm=[1, 0, 2]}
  %m = MatMul(%t, %w)
  %y = Transpose(%m) {perm=[1, 0, 2]}
})")),
            "MatMul");
}

TEST(Transposes, MovingOnesIsAReshape) {
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 8, 1, 1]) -> (%y) {
  %y = Transpose(%x) {perm=[0, 2, 3, 1]}
})")),
            "Reshape");
}

TEST(Transposes, AnOperandThatWouldNeedOneStaysBehind) {
  EXPECT_EQ(ops_of(expect_same_results("transposes", R"(
graph "g" (%x: f32[n, 5, 6], %z: f32[n, 6, 5]) -> (%y) {
  %t = Transpose(%x) {perm=[0, 2, 1]}
  %y = Add(%t, %z)
})")),
            "Transpose Add");
}

}  // namespace
}  // namespace tenon
