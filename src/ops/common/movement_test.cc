// Symbolic inference of single operators that move elements or compute shapes.
#include "ops/common/movement.h"

#include "ops/common/infer_testing.h"

namespace tenon {
namespace {

TEST(Reshape, Symbolic) {
  EXPECT_EQ(infer("Reshape", {tensor("batch, seq, 768"), vector("0, 0, 12, 64")}).shape(),
            "[batch, seq, 12, 64]");
  EXPECT_EQ(infer("Reshape", {tensor("batch, seq, 768"), ints({0, -1, 12, 64})}).shape(),
            "[batch, seq, 12, 64]");
  EXPECT_EQ(infer("Reshape", {tensor("batch, seq, 768"), ints({-1, 768})}).shape(), "[batch*seq, 768]");
  EXPECT_EQ(infer("Reshape", {tensor("batch, past+seq, 12, 64"), vector("batch, past+seq, -1")}).shape(),
            infer("Reshape", {tensor("batch, past+seq, 12, 64"), vector("0, 0, 768")}).shape());
  EXPECT_EQ(infer("Reshape", {tensor("batch, seq, 7"), ints({-1, 3})}).shape(), "[2*batch*seq+div(batch*seq, 3), 3]");
  EXPECT_EQ(infer("Reshape", {tensor("0, 7"), ints({7, 0})}, {{"allowzero", int64_t(1)}}).shape(), "[7, 0]");
}

TEST(Reshape, Unknown) {
  EXPECT_EQ(infer("Reshape", {tensor("batch, 4"), tensor("3", DType::i64)}).shape(), "[_0, _1, _2]");
  EXPECT_EQ(infer("Reshape", {tensor("batch, 4"), tensor("n", DType::i64)}).shape(), "unranked");
}

TEST(Reshape, Errors) {
  EXPECT_FALSE(infer("Reshape", {tensor("2, 3"), ints({4, -1})}).status.ok());
  EXPECT_FALSE(infer("Reshape", {tensor("2, 3"), ints({-1, -1})}).status.ok());
  EXPECT_FALSE(infer("Reshape", {tensor("2, 3"), ints({7})}).status.ok());
  EXPECT_FALSE(infer("Reshape", {tensor("2, 3"), ints({-2, 3})}).status.ok());
  EXPECT_FALSE(infer("Reshape", {tensor("2, 3"), ints({2, 3, 0})}).status.ok());
  EXPECT_FALSE(infer("Reshape", {tensor("0, 3"), ints({0, 4, -1, 0, 0})}).status.ok());
}

std::string slice(std::string_view shape, ValueInfo start, ValueInfo end, int64_t step = 1) {
  return infer("Slice", {tensor(shape), start, end, ints({0}), ints({step})}).shape();
}

TEST(Slice, SymbolicDimension) {
  EXPECT_EQ(slice("seq", ints({0}), ints({INT64_MAX})), "[seq]");
  EXPECT_EQ(slice("seq", ints({0}), vector("seq")), "[seq]");
  EXPECT_EQ(slice("seq", ints({INT64_MIN}), ints({INT32_MAX})), "[seq]");
  EXPECT_EQ(slice("seq", ints({-1}), ints({INT64_MAX})), "[min(1, seq)]");
  EXPECT_EQ(slice("seq+3", ints({1}), ints({INT64_MAX})), "[seq+2]");
  EXPECT_EQ(slice("seq+3", ints({0}), ints({-1})), "[seq+2]");
  EXPECT_EQ(slice("seq", ints({-1}), ints({INT64_MIN}), -1), "[seq]");
  EXPECT_EQ(slice("2*seq", ints({0}), ints({INT64_MAX}), 2), "[seq]");
  EXPECT_EQ(slice("past+seq", vector("past"), ints({INT64_MAX})), "[seq]");
  EXPECT_EQ(slice("past+seq", vector("past"), vector("past+seq")), "[seq]");
  EXPECT_EQ(slice("2048", ints({0}), vector("seq")), "[min(2048, seq)]");
  EXPECT_EQ(slice("seq", vector("seq-other"), ints({INT64_MAX})), "[_0]");
}

TEST(Slice, ConcreteFollowsNumpy) {
  for (int64_t d : {0, 1, 5})
    for (int64_t start : {-9, -5, -2, -1, 0, 1, 4, 5, 9})
      for (int64_t end : {-9, -5, -2, -1, 0, 1, 4, 5, 9})
        for (int64_t step : {-3, -1, 1, 2, 7}) {
          auto clamp = [d, step](int64_t v) {
            if (v < 0) v += d;
            return step > 0 ? std::clamp<int64_t>(v, 0, d) : std::clamp<int64_t>(v, -1, d - 1);
          };
          const int64_t b = clamp(start), e = clamp(end);
          int64_t n = 0;
          for (int64_t i = b; step > 0 ? i < e : i > e; i += step) ++n;
          EXPECT_EQ(slice(cat(d), ints({start}), ints({end}), step), cat("[", n, "]"))
              << d << ' ' << start << ' ' << end << ' ' << step;
          // And the symbolic length, evaluated at this size, says the same where it is known.
          const Inferred s =
              infer("Slice", {tensor("n"), ints({start}), ints({end}), ints({0}), ints({step})});
          const Dim length = s.out[0].shape[0];
          EXPECT_EQ(length.eval([d](const std::string&) { return d; }), n)
              << length.to_string() << " at " << d << ": " << start << ' ' << end << ' ' << step;
        }
}

TEST(Slice, UnknownBoundsKeepOtherDimensions) {
  EXPECT_EQ(
      infer("Slice", {tensor("batch, seq, 8"), tensor("1", DType::i64), tensor("1", DType::i64), ints({1})})
          .shape(),
      "[batch, _0, 8]");
  EXPECT_FALSE(infer("Slice", {tensor("4"), ints({0}), ints({1}), ints({0}), ints({0})}).status.ok());
  EXPECT_FALSE(infer("Slice", {tensor("4"), ints({0}), ints({1}), ints({1})}).status.ok());
  EXPECT_FALSE(infer("Slice", {tensor("4, 4"), ints({0, 0}), ints({1, 1}), ints({1, -1})}).status.ok());
}

TEST(Split, Symbolic) {
  const Inferred even =
      infer("Split", {tensor("batch, 6*n")}, {{"axis", int64_t(1)}, {"num_outputs", int64_t(3)}}, 3);
  EXPECT_EQ(even.shape(0), "[batch, 2*n]");
  EXPECT_EQ(even.shape(2), "[batch, 2*n]");
  const Inferred odd = infer("Split", {tensor("7")}, {{"num_outputs", int64_t(4)}}, 4);
  EXPECT_EQ(odd.shape(0) + odd.shape(3), "[2][1]");
  const Inferred given = infer("Split", {tensor("batch+3"), vector("batch, 3")}, {}, 2);
  EXPECT_EQ(given.shape(0) + given.shape(1), "[batch][3]");
  const Inferred values = infer("Split", {vector("batch, seq, 64"), ints({2, 1})}, {}, 2);
  EXPECT_EQ(values.value(0) + values.value(1), "[batch, seq][64]");
  EXPECT_FALSE(infer("Split", {tensor("5"), ints({2, 2})}, {}, 2).status.ok());
  EXPECT_FALSE(infer("Split", {tensor("5")}, {{"num_outputs", int64_t(3)}}, 2).status.ok());
}

TEST(SqueezeUnsqueeze, Symbolic) {
  EXPECT_EQ(infer("Squeeze", {tensor("batch, 1, seq"), ints({-2})}).shape(), "[batch, seq]");
  EXPECT_EQ(infer("Squeeze", {tensor("3, 1, 5")}).shape(), "[3, 5]");
  EXPECT_EQ(infer("Squeeze", {tensor("batch, 1, 5")}).shape(), "unranked");  // the batch may be 1
  EXPECT_FALSE(infer("Squeeze", {tensor("batch, 2"), ints({1})}).status.ok());
  EXPECT_EQ(infer("Unsqueeze", {tensor("batch, seq"), ints({-1, 1})}).shape(), "[batch, 1, seq, 1]");
  EXPECT_FALSE(infer("Unsqueeze", {tensor("batch, seq"), ints({1, 1})}).status.ok());
  EXPECT_EQ(infer("Unsqueeze", {scalar("batch"), ints({0})}).value(), "[batch]");
  EXPECT_EQ(infer("Squeeze", {vector("batch"), ints({0})}).value(), "[batch]");
}

TEST(Range, Symbolic) {
  const Inferred r = infer("Range", {constant(0), scalar("seq"), constant(1)});
  EXPECT_EQ(r.shape(), "[seq]");
  EXPECT_EQ(infer("Range", {scalar("past"), scalar("past+seq"), constant(1)}).shape(), "[seq]");
  EXPECT_EQ(infer("Range", {constant(0), scalar("4*n"), constant(2)}).shape(), "[2*n]");
  EXPECT_EQ(infer("Range", {constant(3), constant(0), constant(-1)}).value(), "[3, 2, 1]");
  EXPECT_EQ(infer("Range", {constant(3), constant(0), constant(1)}).shape(), "[0]");
  EXPECT_EQ(infer("Range", {constant(0), constant(5), constant(INT64_MIN)}).shape(), "[0]");
  EXPECT_FALSE(infer("Range", {constant(0), constant(5), constant(0)}).status.ok());
}

TEST(ShapeSize, Values) {
  EXPECT_EQ(infer("Shape", {tensor("batch, seq, 64")}).value(), "[batch, seq, 64]");
  EXPECT_EQ(
      infer("Shape", {tensor("batch, seq, 64")}, {{"start", int64_t(-2)}, {"end", int64_t(-1)}}).value(),
      "[seq]");
  EXPECT_EQ(infer("Shape", {tensor("2, 3")}, {{"start", int64_t(5)}, {"end", int64_t(-9)}}).shape(), "[0]");
  EXPECT_EQ(infer("Size", {tensor("batch, 4")}).value(), "[4*batch]");
}

TEST(Expand, Symbolic) {
  EXPECT_EQ(infer("Expand", {tensor("1, 1, seq"), vector("batch, 1, 1")}).shape(), "[batch, 1, seq]");
  EXPECT_EQ(infer("Expand", {tensor("3, 1"), tensor("3", DType::i64)}).shape(), "[_0, 3, _1]");
  EXPECT_EQ(infer("Expand", {vector("batch"), ints({3})}).value(), "[batch, batch, batch]");
  EXPECT_FALSE(infer("Expand", {tensor("3"), ints({4})}).status.ok());
}

TEST(Pad, Symbolic) {
  EXPECT_EQ(infer("Pad", {tensor("batch, seq"), ints({0, 1, 0, 2})}).shape(), "[batch, seq+3]");
  EXPECT_EQ(infer("Pad", {tensor("batch, seq"), vector("0, n"), ValueInfo{}, ints({1})}).shape(),
            "[batch, n+seq]");
  EXPECT_FALSE(infer("Pad", {tensor("2"), ints({-2, -1})}).status.ok());
  EXPECT_FALSE(infer("Pad", {tensor("0"), ints({1, 1})}, {{"mode", std::string("edge")}}).status.ok());
  EXPECT_FALSE(infer("Pad", {tensor("2"), ints({INT64_MIN, INT64_MAX})}).status.ok());
}

TEST(Gather, ShapesAndValues) {
  EXPECT_EQ(infer("Gather", {tensor("vocabulary, 768"), tensor("batch, seq", DType::i64)}).shape(),
            "[batch, seq, 768]");
  EXPECT_EQ(infer("Gather", {vector("batch, seq"), constant(-1)}).value(), "[seq]");
  EXPECT_EQ(infer("Gather", {vector("batch, seq"), ints({1, 0, 1})}).value(), "[seq, batch, seq]");
  EXPECT_EQ(infer("Gather", {vector("batch, seq"), constant(2)}).value(), "unknown");  // out of range
}

TEST(ScatterND, Values) {
  EXPECT_EQ(infer("ScatterND", {vector("a, b, c"),
                                {DType::i64, true, dims("1, 1"), Tensor::of_ints({1}).reshaped({1, 1}), {}},
                                vector("x")})
                .value(),
            "[a, x, c]");
}

TEST(DataDependent, FreshSizes) {
  EXPECT_EQ(infer("NonZero", {tensor("batch, 4")}).shape(), "[2, _0]");
  EXPECT_EQ(
      infer("Compress", {tensor("batch, 4"), tensor("4", DType::boolean)}, {{"axis", int64_t(1)}}).shape(),
      "[batch, _0]");
  const Inferred u = infer("Unique", {tensor("n")}, {}, 4);
  EXPECT_EQ(u.shape(0) + u.shape(1) + u.shape(2) + u.shape(3), "[_0][_0][n][_0]");
  EXPECT_EQ(infer("TopK", {tensor("batch, n"), vector("k")}, {}, 2).shape(1), "[batch, k]");
  EXPECT_FALSE(infer("TopK", {tensor("2, 3"), ints({4})}, {}, 2).status.ok());
}

Status run(const char* name, std::vector<Tensor> in, Attrs attrs = {}) {
  const Op* op = find_op("", name);
  std::vector<Tensor> out;
  if (Status s = normalize_attrs(*op, attrs); !s.ok()) return s;
  return run_reference(*op, attrs, in, 1, out);
}

TEST(Reference, IndicesAreChecked) {
  const Tensor data = Tensor::of_ints({1, 2, 3});
  EXPECT_TRUE(run("Gather", {data, Tensor::of_ints({-3})}).ok());
  EXPECT_EQ(run("Gather", {data, Tensor::of_ints({3})}).message(), "index 3 is out of range [-3, 3)");
  EXPECT_FALSE(run("GatherElements", {data, Tensor::of_ints({-4})}).ok());
  EXPECT_FALSE(run("GatherND", {data, Tensor::of_ints({INT64_MAX})}).ok());
  EXPECT_FALSE(run("ScatterElements", {data, Tensor::of_ints({5}), Tensor::of_ints({0})}).ok());
  EXPECT_FALSE(
      run("ScatterND", {data, Tensor::of_ints({INT64_MIN}).reshaped({1, 1}), Tensor::of_ints({0})}).ok());
  EXPECT_FALSE(run("ConstantOfShape", {Tensor::of_ints({int64_t(1) << 60, 1 << 20})}).ok());
  EXPECT_FALSE(run("Tile", {data, Tensor::of_ints({-1})}).ok());
}

TEST(CopyView, PackedTypes) {
  Tensor x = Tensor::make(DType::u4, {2, 3}), y = Tensor::make(DType::u4, {3, 2});
  for (int64_t i = 0; i < 6; ++i) x.set_int(i, i + 9);
  copy_view(x, 0, {1, 3}, y);
  EXPECT_EQ(y.to_ints(), (Ints{9, 12, 10, 13, 11, 14}));
}

}  // namespace
}  // namespace tenon
