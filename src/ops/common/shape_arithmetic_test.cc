// Shape arithmetic as exporters write it: the symbolic sizes have to come through whole chains of nodes.
#include "ops/common/infer_testing.h"

namespace tenon {
namespace {

ValueInfo dim_of(const ValueInfo& x, int64_t i) {  // Unsqueeze(Gather(Shape(x), i), 0)
  return infer("Unsqueeze", {infer("Gather", {infer("Shape", {x}), constant(i)}), ints({0})});
}

TEST(ShapeArithmetic, ShapeGatherUnsqueezeConcatReshape) {
  const ValueInfo x = tensor("batch, seq, 768");
  const ValueInfo shape =
      infer("Concat", {dim_of(x, 0), dim_of(x, 1), ints({12}), ints({64})}, {{"axis", int64_t(0)}});
  const ValueInfo heads = infer("Reshape", {x, shape});
  EXPECT_EQ(to_string(heads.shape), "[batch, seq, 12, 64]");
  const ValueInfo swapped = infer("Transpose", {heads}, {{"perm", Ints{0, 2, 1, 3}}});
  EXPECT_EQ(to_string(swapped.shape), "[batch, 12, seq, 64]");
  const ValueInfo back =
      infer("Concat", {dim_of(swapped, 0), dim_of(swapped, 2), ints({-1})}, {{"axis", int64_t(0)}});
  EXPECT_EQ(infer("Reshape", {infer("Transpose", {swapped}, {{"perm", Ints{0, 2, 1, 3}}}), back}).shape(),
            "[batch, seq, 768]");
}

TEST(ShapeArithmetic, ShapeSliceConcatExpand) {
  const ValueInfo shape = infer("Shape", {tensor("batch, seq, 768")});
  const ValueInfo lead = infer("Slice", {shape, ints({0}), ints({-1}), ints({0})});
  EXPECT_EQ(to_string(*lead.value), "[batch, seq]");
  const ValueInfo target = infer("Concat", {lead, ints({5})}, {{"axis", int64_t(0)}});
  EXPECT_EQ(infer("Expand", {tensor("1, 5"), target}).shape(), "[batch, seq, 5]");
}

TEST(ShapeArithmetic, ConstantOfShapeOfShape) {
  EXPECT_EQ(infer("ConstantOfShape", {infer("Shape", {tensor("batch, seq")})}).shape(), "[batch, seq]");
  const ValueInfo ones = infer("ConstantOfShape", {ints({3})}, {{"value", Tensor::of_ints({1})}});
  EXPECT_EQ(to_string(*ones.value), "[1, 1, 1]");
}

TEST(ShapeArithmetic, RangeOfASequence) {
  const ValueInfo seq = infer("Gather", {infer("Shape", {tensor("batch, seq")}), constant(1)});
  const ValueInfo positions = infer("Range", {constant(0), seq, constant(1)});
  EXPECT_EQ(to_string(positions.shape), "[seq]");
  EXPECT_EQ(infer("Unsqueeze", {positions, ints({0})}).shape(), "[1, seq]");
}

TEST(ShapeArithmetic, PastAndPresent) {
  // Positions of the new tokens: Range(past, past + seq).
  const ValueInfo past = infer("Gather", {infer("Shape", {tensor("batch, 12, past, 64")}), constant(2)});
  const ValueInfo seq = infer("Gather", {infer("Shape", {tensor("batch, seq")}), constant(1)});
  const ValueInfo total = infer("Add", {past, seq});
  EXPECT_EQ(infer("Range", {past, total, constant(1)}).shape(), "[seq]");
  // The causal mask of the new rows: mask[:, :, total - seq : total, :total].
  const ValueInfo first =
      infer("Slice", {tensor("1, 1, past+seq, past+seq"), infer("Unsqueeze", {past, ints({0})}),
                      infer("Unsqueeze", {total, ints({0})}), ints({2})});
  EXPECT_EQ(to_string(first.shape), "[1, 1, seq, past+seq]");
}

TEST(ShapeArithmetic, TileAndFlatten) {
  const ValueInfo n = dim_of(tensor("batch, 3"), 0);
  const ValueInfo repeats = infer("Concat", {n, ints({1})}, {{"axis", int64_t(0)}});
  EXPECT_EQ(infer("Tile", {tensor("1, 7"), repeats}).shape(), "[batch, 7]");
  EXPECT_EQ(infer("Flatten", {tensor("batch, 3, 4")}).shape(), "[batch, 12]");
  EXPECT_EQ(infer("Flatten", {tensor("batch, 3, 4")}, {{"axis", int64_t(-1)}}).shape(), "[3*batch, 4]");
}

TEST(ShapeArithmetic, ReshapeAndIdentityKeepElements) {
  const ValueInfo v = infer("Identity", {infer("Reshape", {vector("batch, seq"), ints({-1})})});
  EXPECT_EQ(to_string(*v.value), "[batch, seq]");
  EXPECT_EQ(infer("Reshape", {vector("batch"), ints({})}).value(), "[batch]");
}

// Where, Equal and Mul are scalar programs; Expand's usual guard against -1 goes through them.
TEST(ShapeArithmetic, WhereEqualExpand) {
  const ValueInfo shape =
      infer("Concat", {dim_of(tensor("batch, 4"), 0), ints({-1, 4})}, {{"axis", int64_t(0)}});
  const ValueInfo is_minus_one = infer("Equal", {shape, ints({-1, -1, -1})});
  const ValueInfo ones = infer("ConstantOfShape", {ints({3})}, {{"value", Tensor::of_ints({1})}});
  const ValueInfo target = infer("Where", {is_minus_one, ones, shape});
  EXPECT_EQ(to_string(*target.value), "[batch, 1, 4]");
  EXPECT_EQ(infer("Expand", {tensor("1, 7, 4"), target}).shape(), "[batch, 7, 4]");
}

TEST(ShapeArithmetic, SqueezeMulReshape) {
  const ValueInfo x = tensor("batch, seq, 64");
  const ValueInfo b =
      infer("Squeeze", {infer("Slice", {infer("Shape", {x}), ints({0}), ints({1})}), ints({0})});
  const ValueInfo s =
      infer("Squeeze", {infer("Slice", {infer("Shape", {x}), ints({1}), ints({2})}), ints({0})});
  const ValueInfo rows = infer("Unsqueeze", {infer("Mul", {b, s}), ints({0})});
  EXPECT_EQ(infer("Reshape", {x, infer("Concat", {rows, ints({64})}, {{"axis", int64_t(0)}})}).shape(),
            "[batch*seq, 64]");
}

}  // namespace
}  // namespace tenon
