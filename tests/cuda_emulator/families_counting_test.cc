// Kernels whose results' size the data decides, on an emulated GPU: what NonZero, Compress and
// NonMaxSuppression find.
#include "cuda_emulator/family_check.h"

namespace tenon::emulator {
namespace {

// Zeros and few others.
Tensor sparse(DType type, Shape shape, uint64_t one_in) {
  Tensor t = Tensor::make(type, std::move(shape));
  Random random(3);
  for (int64_t i = 0; i < t.size(); ++i) t.set(i, random.next() % one_in == 0 ? 1 : 0);
  return t;
}

TEST(CudaNonZero, EveryTypeAndRank) {
  for (DType t : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::boolean, DType::u8, DType::i32,
                  DType::i64, DType::u64})
    expect_agrees("non_zero.block", "(%x: $T[5, 3, 7]) -> (%y) { %y = NonZero(%x) }", {name(t)}, {{}},
                  {sparse(t, {5, 3, 7}, 3)});
  expect_agrees("non_zero.block", "(%x: f32[11, 1, 20]) -> (%y) { %y = NonZero(%x) }", {""}, {{}},
                {specials(DType::f32, {11, 1, 20})});
  for (double v : {0.0, 2.0}) {
    Tensor x = Tensor::make(DType::f32, {});
    x.set(0, v);
    expect_agrees("non_zero.block", "(%x: f32[]) -> (%y) { %y = NonZero(%x) }", {""}, {{}}, {x});
  }
}

TEST(CudaNonZero, AllNoneAndBetweenBlocks) {
  for (int64_t n : {0, 1, 511, 512, 513, 2049, 5003})
    for (uint64_t one_in : {1, 2, 100000})
      expect_agrees("non_zero.blocks", "(%x: bool[n]) -> (%y) { %y = NonZero(%x) }", {""}, {{{"n", n}}},
                    {sparse(DType::boolean, {n}, one_in)});
  expect_agrees("non_zero.blocks", "(%x: u8[a, b]) -> (%y) { %y = NonZero(%x) }", {""}, {{}},
                {sparse(DType::u8, {91, 117}, 5)});
  expect_agrees("non_zero.blocks", "(%x: u8[100, 91]) -> (%y) { %y = NonZero(%x) }", {""}, {{}},
                {sparse(DType::u8, {100, 91}, 5)});
}

TEST(CudaCompress, AlongAnAxisOrNot) {
  for (DType t : {DType::f32, DType::f16, DType::u8, DType::i64}) {
    expect_agrees("compress.*",
                  "(%x: $T[3, 6, 4], %c: bool[6]) -> (%y) { %y = Compress(%x, %c) {axis=1} }", {name(t)},
                  {{}}, {integers(t, {3, 6, 4}, 0, 99), sparse(DType::boolean, {6}, 2)});
    expect_agrees("compress.*", "(%x: $T[a, b], %c: bool[n]) -> (%y) { %y = Compress(%x, %c) }", {name(t)},
                  {{}}, {integers(t, {40, 50}, 0, 99), sparse(DType::boolean, {1900}, 3)});
  }
  for (int64_t n : {0, 1, 7})
    expect_agrees("compress.*", "(%x: f32[n, b], %c: bool[n]) -> (%y) { %y = Compress(%x, %c) {axis=-2} }",
                  {""}, {{}}, {integers(DType::f32, {n, 3}, 0, 99), sparse(DType::boolean, {n}, 2)});
}

TEST(CudaCounting, WhatComesBehindHasTheRightSizes) {
  expect_agrees("*", R"((%x: f32[6, 5], %t: f32[6, 5]) -> (%g, %s, %k, %m) {
    %c = Greater(%x, %t) %i = NonZero(%c) %p = Transpose(%i) %g = GatherND(%x, %p) %s = ReduceSum(%g) {keepdims=0}
    %d = NonZero(%g) %k = Neg(%d) %z = Cast(%g) {to=9} %m = Compress(%g, %z) })",
                {""}, {{}}, {integers(DType::f32, {6, 5}, -3, 3), sparse(DType::f32, {6, 5}, 4)});
}

// ---- NonMaxSuppression
// -----------------------------------------------------------------------------------------------

struct Boxes {
  Tensor boxes, scores;
};

// Boxes near each other, on a grid of `steps` so that many overlaps and scores are equal.
Boxes draw(int64_t batch, int64_t classes, int64_t n, bool center, int steps = 0) {
  Boxes out{Tensor::make(DType::f32, {batch, n, 4}), Tensor::make(DType::f32, {batch, classes, n})};
  Random random(uint64_t(n * 7 + classes));
  const auto next = [&](double scale) {
    const double v = double(random.next() % 100003) / 100003;
    return scale * (steps ? std::floor(v * steps) / steps : v);
  };
  const double room = std::sqrt(double(n)) * 0.4 + 1;
  for (int64_t i = 0; i < batch * n; ++i) {
    const double y = next(room), x = next(room), h = next(1) + 0.1, w = next(1) + 0.1;
    const double corners[] = {y, x, y + h, x + w}, middle[] = {x, y, w, h};
    for (int k = 0; k < 4; ++k)
      out.boxes.set(4 * i + (center ? k : i % 3 == 0 ? (k + 2) % 4 : k), center ? middle[k] : corners[k]);
  }
  for (int64_t i = 0; i < out.scores.size(); ++i) out.scores.set(i, next(1));
  return out;
}

void expect_nms(const char* kernel, const Boxes& b, int64_t most, double iou, double score,
                bool center = false) {
  expect_agrees(kernel,
                cat("(%x: f32[b, n, 4], %s: f32[b, c, n], %m: i64[1], %i: f32[1], %t: f32[]) -> (%y) {"
                    " %y = NonMaxSuppression(%x, %s, %m, %i, %t) {center_point_box=",
                    int(center), "} }"),
                {""}, {{}},
                {b.boxes, b.scores, Tensor::of_ints({most}), Tensor::of_floats(std::vector<double>{iou}),
                 Tensor::scalar_float(score)});
}

TEST(CudaNms, SizesThresholdsAndClasses) {
  for (int64_t n : {0, 1, 63, 64, 65, 300})
    for (bool center : {false, true}) expect_nms("nms", draw(1, 2, n, center), 1000, 0.4, 0.2, center);
  const Boxes b = draw(2, 3, 130, false);
  for (int64_t most : {-3, 0, 1, 5, 64, 1000}) expect_nms("nms", b, most, 0.5, -1);
  for (double iou : {0.0, 0.3, 1.0}) expect_nms("nms", b, 50, iou, 0.1);
  expect_nms("nms", b, 50, 0.5, 2);  // none
  expect_nms("nms", draw(0, 3, 5, false), 50, 0.5, 0.1);
  expect_nms("nms", draw(2, 9, 90, false), 20, 0.5, 0.1);  // more lists than are compared beforehand
}

// A list of several tiles.
TEST(CudaNms, LongLists) {
  expect_nms("nms", draw(1, 1, 2500, false), 100000, 0.5, 0.01);
  expect_nms("nms", draw(1, 1, 2500, true, 40), 700, 0.3, 0.01, true);
  const Boxes many = draw(1, 17, 2100, false, 50);
  expect_nms("nms", many, 90, 0.5, 0.5);
}

// Overlaps that are the threshold itself, or nearly; equal scores.
TEST(CudaNms, TiesAreTheReferences) {
  for (int steps : {4, 6, 10})
    for (double iou : {0.25, 1.0 / 3, 0.5, 0.6})
      for (bool center : {false, true})
        expect_nms("nms", draw(1, 2, 200, center, steps), 1000, iou, -1, center);
}

TEST(CudaNms, OddBoxesAndScores) {
  Boxes b = draw(1, 2, 120, false);
  const Tensor odd = specials(DType::f32, {1, 120, 4}), scores = specials(DType::f32, {1, 2, 120});
  for (bool center : {false, true}) {
    expect_nms("nms", {odd, b.scores}, 1000, 0.3, -1, center);
    expect_nms("nms", {b.boxes, scores}, 1000, 0.3, -1, center);
    for (double scale : {1e-22, 1e-15, 1e15, 1e22}) {
      Tensor scaled = Tensor::make(DType::f32, b.boxes.shape());
      for (int64_t i = 0; i < scaled.size(); ++i) scaled.set(i, b.boxes.at(i) * scale);
      expect_nms("nms", {scaled, b.scores}, 1000, 0.3, -1, center);
    }
  }
  expect_agrees(
      "nms", "(%x: f32[b, n, 4], %s: f32[b, c, n], %m: i64[]) -> (%y) { %y = NonMaxSuppression(%x, %s, %m) }",
      {""}, {{}}, {b.boxes, scores, Tensor::scalar_int(40)});
  expect_agrees("nms", "(%x: f32[b, n, 4], %s: f32[b, c, n]) -> (%y) { %y = NonMaxSuppression(%x, %s) }",
                {""}, {{}}, {b.boxes, scores});
}

TEST(CudaNms, ConstantsAndFixedSizes) {
  const char* const graph = R"((%x: f32[1, 200, 4], %s: f32[1, CLASSES, 200]) -> (%y) {
    const %m: i64[1] = [30] const %i: f32[1] = [0.5] const %t: f32[1] = [0.25] %y = NonMaxSuppression(%x, %s, %m, %i, %t) })";
  const auto with = [&](int64_t classes, const char* kernel) {
    std::string text = graph;
    text.replace(text.find("CLASSES"), 7, cat(classes));
    const Boxes b = draw(1, classes, 200, false, 8);
    expect_agrees(kernel, text, {""}, {{}}, {b.boxes, b.scores});
  };
  with(2, "nms.pairs");
  with(20, "nms.kept");
}

}  // namespace
}  // namespace tenon::emulator
