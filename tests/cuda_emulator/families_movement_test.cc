// Kernels that move elements, on an emulated GPU. They go by the size of an element, so types stand for
// sizes.
#include "cuda_emulator/family_check.h"
#include "ir/text.h"
#include "passes/pipeline.h"

namespace tenon::emulator {
namespace {

TEST(CudaTranspose, TilesAndCopies) {
  expect_agrees("transpose.tile", "(%x: $T[n, m]) -> (%y) { %y = Transpose(%x) }",
                {"f32", "f16", "u8", "i64"},
                {{{"n", 37}, {"m", 65}}, {{"n", 1}, {"m", 9}}, {{"n", 0}, {"m", 9}}, {{"n", 64}, {"m", 64}}});
  expect_agrees("transpose.tile", "(%x: $T[b, c, h, w]) -> (%y) { %y = Transpose(%x) {perm=[3, 1, 0, 2]} }",
                {"f32", "u8"}, {{{"b", 2}, {"c", 33}, {"h", 7}, {"w", 35}}});
  expect_agrees("transpose.copy", "(%x: $T[b, 3, h, w]) -> (%y) { %y = Transpose(%x) {perm=[0, 2, 3, 1]} }",
                {"f32", "f16"}, {{{"b", 2}, {"h", 7}, {"w", 5}}});
  expect_agrees("transpose.copy", "(%x: $T[b, 8, s, 16]) -> (%y) { %y = Transpose(%x) {perm=[0, 2, 1, 3]} }",
                {"f32", "f16", "u8", "i64"}, {{{"b", 2}, {"s", 9}}});
  expect_agrees("transpose.copy", "(%x: f32[]) -> (%y) { %y = Transpose(%x) }", {""});
  expect_agrees("transpose.copy", "(%x: f32[5, 1, n]) -> (%y) { %y = Transpose(%x) {perm=[1, 0, 2]} }", {""},
                {{{"n", 6}}});
}

TEST(CudaConcat, AlongEachAxis) {
  expect_agrees("concat.*", "(%x: $T[2, 3, 4], %z: $T[2, 5, 4]) -> (%y) { %y = Concat(%x, %z) {axis=1} }",
                {"f32", "f16", "u8", "i64"});
  expect_agrees("concat.*",
                "(%x: $T[b, n], %z: $T[b, m], %w: $T[b, 3]) -> (%y) { %y = Concat(%x, %z, %w) {axis=1} }",
                {"f32", "u8"}, {{{"b", 3}, {"n", 4}, {"m", 0}}, {{"b", 0}, {"n", 1}, {"m", 1}}});
  std::string inputs, names;
  for (int i = 0; i < 50; ++i)
    inputs += cat(i ? ", " : "", "%x", i, ": f16[3, ", i % 4, "]"), names += cat(i ? ", " : "", "%x", i);
  expect_agrees("concat.*", cat("(", inputs, ") -> (%y) { %y = Concat(", names, ") {axis=1} }"), {""});
}

TEST(CudaConcat, Split) {
  expect_agrees("split.*",
                "(%x: $T[2, 12, n]) -> (%y, %z, %w) { const %s: i64[3] = [3, 0, 9] %y, %z, %w = Split(%x, "
                "%s) {axis=1} }",
                {"f32", "f16", "u8"}, {{{"n", 4}}, {{"n", 0}}});
  expect_agrees("split.16", "(%x: $T[b, 64]) -> (%y, %z) { %y, %z = Split(%x) {axis=1, num_outputs=2} }",
                {"f32", "f16"}, {{{"b", 3}}});
}

TEST(CudaSlice, KnownBounds) {
  expect_agrees("slice.16",
                "(%x: $T[10, 16, 8]) -> (%y) { const %s: i64[2] = [1, -4] const %e: i64[2] = [9, 100] const "
                "%a: i64[2] = [0, 1] %y = Slice(%x, %s, %e, %a) }",
                {"f32", "f16"});
  expect_agrees("slice.*", R"((%x: $T[10, 16, 8]) -> (%y) {
    const %s: i64[2] = [8, -1] const %e: i64[2] = [1, -100] const %a: i64[2] = [0, 2] const %t: i64[2] = [-3, -1]
    %y = Slice(%x, %s, %e, %a, %t) })",
                {"f32", "u8", "i64"});
  expect_agrees("slice.*",
                "(%x: $T[n, 16]) -> (%y) { const %s: i64[2] = [2, 3] const %e: i64[2] = [9, 16] %y = "
                "Slice(%x, %s, %e) }",
                {"f16"}, {{{"n", 11}}, {{"n", 5}}, {{"n", 1}}});
}

TEST(CudaSlice, BoundsOfTheRun) {
  const auto at = [](std::initializer_list<int64_t> v) { return Tensor::of_ints(v); };
  const Tensor x = integers(DType::f32, {11, 16}, -50, 50);
  for (auto [start, end] : {std::pair(-5, 10), std::pair(0, 0), std::pair(3, 100), std::pair(-100, -1)})
    expect_agrees("slice.16",
                  "(%x: f32[11, 16], %s: i64[1], %e: i64[1]) -> (%y) { const %a: i64[1] = [0] %y = Slice(%x, "
                  "%s, %e, %a) }",
                  {""}, {{}}, {x, at({start}), at({end})});
  expect_agrees("slice.4",
                "(%x: f32[11, 16], %s: i64[2], %e: i64[2], %t: i64[2]) -> (%y) { const %a: i64[2] = [1, 0] "
                "%y = Slice(%x, %s, %e, %a, %t) }",
                {""}, {{}}, {x, at({14, -1}), at({-17, -100}), at({-3, -2})});
}

TEST(CudaExpand, ExpandTileAndBlocks) {
  expect_agrees("expand.*",
                "(%x: $T[3, 1, 5]) -> (%y) { const %s: i64[4] = [2, 1, 4, 5] %y = Expand(%x, %s) }",
                {"f32", "f16", "u8", "i64"});
  expect_agrees("tile.*", "(%x: $T[n, 4]) -> (%y) { const %s: i64[2] = [2, 3] %y = Tile(%x, %s) }",
                {"f32", "u8"}, {{{"n", 3}}, {{"n", 0}}});
  expect_agrees("tile.*", "(%x: f32[3, 4], %s: i64[2]) -> (%y) { %y = Tile(%x, %s) }", {""}, {{}},
                {integers(DType::f32, {3, 4}, 0, 9), Tensor::of_ints({2, 3})});
  for (const char* mode : {"DCR", "CRD"}) {
    expect_agrees(
        "blocks.*",
        cat("(%x: $T[b, 12, h, 5]) -> (%y) { %y = DepthToSpace(%x) {blocksize=2, mode=\"", mode, "\"} }"),
        {"f32", "f16"}, {{{"b", 2}, {"h", 3}}});
    expect_agrees(
        "blocks.*",
        cat("(%x: $T[b, 3, 4, 6]) -> (%y) { %y = SpaceToDepth(%x) {blocksize=2, mode=\"", mode, "\"} }"),
        {"f32", "f16"}, {{{"b", 2}}});
  }
}

TEST(CudaPad, EveryMode) {
  for (const char* mode : {"constant", "edge", "reflect", "wrap"}) {
    const std::string kernel = cat("pad.", mode), attrs = cat("{mode=\"", mode, "\"}");
    expect_agrees(kernel.c_str(),
                  cat("(%x: $T[3, 5, 8]) -> (%y) { const %p: i64[6] = [1, 2, 0, 2, 1, 0] %y = Pad(%x, %p) ",
                      attrs, " }"),
                  {"f32", "f16", "u8", "i64"});
    expect_agrees(kernel.c_str(),
                  cat("(%x: $T[3, n, 7]) -> (%y) { const %p: i64[6] = [0, 2, -1, 0, 1, 3] %y = Pad(%x, %p) ",
                      attrs, " }"),
                  {"f32", "f16"}, {{{"n", 6}}, {{"n", 1}}});
    expect_agrees(
        kernel.c_str(),
        cat("(%x: f32[3, 6, 7], %p: i64[2], %v: f32[]) -> (%y) { const %a: i64[1] = [-2] %y = Pad(%x, %p, "
            "%v, %a) ",
            attrs, " }"),
        {""}, {{}},
        {integers(DType::f32, {3, 6, 7}, -9, 9), Tensor::of_ints({4, -2}), Tensor::scalar_float(5)});
  }
}

TEST(CudaGather, RowsElementsAndTuples) {
  expect_agrees("gather.*", "(%x: $T[n, 24], %i: i64[b, s]) -> (%y) { %y = Gather(%x, %i) }",
                {"f32", "f16", "u8", "i64"},
                {{{"n", 11}, {"b", 2}, {"s", 5}}, {{"n", 2}, {"b", 0}, {"s", 3}}});
  for (DType index : {DType::i32, DType::i64}) {
    expect_agrees(
        "gather.*",
        cat("(%x: f16[3, 5, 6], %i: ", name(index), "[7]) -> (%y) { %y = Gather(%x, %i) {axis=1} }"), {""},
        {{}}, {integers(DType::f16, {3, 5, 6}, -50, 50), integers(index, {7}, -5, 4)});
    expect_agrees("gather.*",
                  cat("(%x: u8[3, 4, 6], %i: ", name(index),
                      "[2, 4, 5]) -> (%y) { %y = GatherElements(%x, %i) {axis=2} }"),
                  {""}, {{}}, {integers(DType::u8, {3, 4, 6}, 0, 250), integers(index, {2, 4, 5}, -6, 5)});
  }
  expect_agrees("gather.16", "(%x: f32[2, 3, 8], %i: i64[4, 2]) -> (%y) { %y = GatherND(%x, %i) }", {""},
                {{}}, {integers(DType::f32, {2, 3, 8}, -50, 50), integers(DType::i64, {4, 2}, -2, 1)});
  expect_agrees("gather.*",
                "(%x: $T[b, 3, n], %i: i64[b, 2, 1]) -> (%y) { %y = GatherND(%x, %i) {batch_dims=1} }",
                {"f32", "i64"}, {{{"b", 2}, {"n", 4}}, {{"b", 0}, {"n", 4}}});
}

TEST(CudaScatter, TheLastUpdateStays) {
  for (DType t : {DType::f32, DType::f16, DType::u8, DType::i64}) {
    const Tensor x = integers(t, {9, 5}, 0, 99), i = integers(DType::i64, {40, 1}, -9, 8),
                 u = integers(t, {40, 5}, 0, 99);
    expect_agrees("scatter.last",
                  "(%x: $T[n, 5], %i: i64[u, 1], %u: $T[u, 5]) -> (%y) { %y = ScatterND(%x, %i, %u) }",
                  {name(t)}, {{}}, {x, i, u});
    expect_agrees("scatter.last",
                  "(%x: $T[4, n, 3], %i: i32[3, m, 2], %u: $T[3, m, 2]) -> (%y) { %y = ScatterElements(%x, "
                  "%i, %u) {axis=1} }",
                  {name(t)}, {{}},
                  {integers(t, {4, 6, 3}, 0, 99), integers(DType::i32, {3, 50, 2}, -6, 5),
                   integers(t, {3, 50, 2}, 0, 99)});
  }
  expect_agrees("scatter.columns",
                "(%x: f32[4, 6, 3], %i: i64[3, 7, 2], %u: f32[3, 7, 2]) -> (%y) { %y = ScatterElements(%x, "
                "%i, %u) {axis=1} }",
                {""}, {{}},
                {integers(DType::f32, {4, 6, 3}, 0, 99), integers(DType::i64, {3, 7, 2}, -6, 5),
                 integers(DType::f32, {3, 7, 2}, 0, 99)});
}

TEST(CudaScatter, Combines) {
  for (const char* reduction : {"add", "mul", "min", "max"})
    for (DType t : {DType::f32, DType::f16, DType::i8, DType::i32, DType::u64}) {
      expect_agrees(
          "scatter.columns",
          cat("(%x: $T[n, 5], %i: i64[u, 1], %u: $T[u, 5]) -> (%y) { %y = ScatterND(%x, %i, %u) "
              "{reduction=\"",
              reduction, "\"} }"),
          {name(t)}, {{}},
          {integers(t, {9, 5}, 0, 9), integers(DType::i64, {40, 1}, -9, 8), integers(t, {40, 5}, 0, 3)});
    }
}

TEST(CudaRearrange, ByCoordinates) {
  expect_agrees("one_hot",
                "(%x: i64[2, 5], %v: f16[2]) -> (%y) { const %d: i64[] = 4 %y = OneHot(%x, %d, %v) }", {""},
                {{}}, {integers(DType::i64, {2, 5}, -5, 5), integers(DType::f16, {2}, 1, 9)});
  expect_agrees("one_hot",
                "(%x: $T[2, n], %v: i64[2]) -> (%y) { const %d: i64[] = 3 %y = OneHot(%x, %d, %v) {axis=1} }",
                {"f32", "f64"}, {{{"n", 5}}});
  expect_agrees("trilu", "(%x: $T[3, n, m]) -> (%y) { %y = Trilu(%x) }", {"f32", "u8"},
                {{{"n", 5}, {"m", 4}}, {{"n", 0}, {"m", 4}}});
  expect_agrees("trilu", "(%x: f16[5, 4], %k: i64[]) -> (%y) { %y = Trilu(%x, %k) {upper=0} }", {""}, {{}},
                {integers(DType::f16, {5, 4}, 1, 9), Tensor::scalar_int(-1)});
  expect_agrees("eye_like", "(%x: $T[n, m]) -> (%y) { %y = EyeLike(%x) {k=1} }", {"f16", "i32"},
                {{{"n", 5}, {"m", 4}}});
  expect_agrees("constant_of_shape",
                "(%s: i64[2]) -> (%y) { %y = ConstantOfShape(%s) {value=tensor f16[1] [2.0]} }", {""}, {{}},
                {Tensor::of_ints({3, 5})});
  expect_agrees("reverse_sequence", "(%x: f32[4, 2, 3], %l: i64[2]) -> (%y) { %y = ReverseSequence(%x, %l) }",
                {""}, {{}}, {integers(DType::f32, {4, 2, 3}, 0, 99), Tensor::of_ints({1, 3})});
  expect_agrees(
      "reverse_sequence",
      "(%x: u8[2, 5], %l: i64[2]) -> (%y) { %y = ReverseSequence(%x, %l) {batch_axis=0, time_axis=1} }", {""},
      {{}}, {integers(DType::u8, {2, 5}, 0, 99), Tensor::of_ints({5, 0})});
}

// What find_rotary makes; angles broadcast over heads, or over tokens too, and of another type.
TEST(EmulatedFamilies, Rotations) {
  const auto check = [](const std::string& angles, const std::string& text, std::initializer_list<const char*> types, std::vector<Sizes> sizes) {
    for (const char* type : types) {
      std::string whole = cat("graph \"m\" (%x: $T[b, s, 3, 24], ", angles, ") -> (%y) {\n", text, "\n}");
      for (size_t at; (at = whole.find("$T")) != std::string::npos;) whole.replace(at, 2, type);
      Graph g = *run_pass(*find_pass("find_rotary"), *parse(whole), {});
      ASSERT_EQ(g.nodes.size(), 1u) << whole;
      AgreeOptions options;
      options.kernel = "rotation.*";
      options.sizes = sizes;
      EXPECT_TRUE(agrees_on_emulator(g, options)) << whole;
    }
  };
  const std::string text = R"(
    %low, %high = Split(%x) {axis=3, num_outputs=2}
    %n = Neg(%high)
    %r = Concat(%n, %low) {axis=3}
    %b = Mul(%r, %sin)
    %a = Mul(%x, %cos)
    %y = Add(%a, %b))";
  check("%cos: $T[1, s, 1, 24], %sin: $T[b, s, 1, 24]", text, {"f32", "f16", "bf16", "f64"}, {{{"b", 2}, {"s", 7}}, {{"b", 1}, {"s", 1}}, {{"b", 0}, {"s", 3}}});
  check("%cos: $T[24], %sin: $T[3, 24]", text, {"f32", "f16"}, {{{"b", 3}, {"s", 2}}});
}

}  // namespace
}  // namespace tenon::emulator
