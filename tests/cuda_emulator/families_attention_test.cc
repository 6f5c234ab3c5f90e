// Attention on an emulated GPU: lengths on both sides of a tile's end, head sizes that are no multiple of anything, masks of
// every shape, rows that see nothing, numbers that are none.
#include "cuda_emulator/family_check.h"

namespace tenon::emulator {
namespace {

constexpr const char* kByHead = R"((%q: $T[b, h, s, 32], %k: $T[b, h, t, 32], %v: $T[b, h, t, 24]) -> (%y) {
  %y = Attention(%q, %k, %v) })";

TEST(CudaAttention, Lengths) {
  const std::vector<Sizes> sizes = {
      {{"b", 2}, {"h", 3}, {"s", 7}, {"t", 17}},  {{"b", 1}, {"h", 1}, {"s", 1}, {"t", 1}},  {{"b", 1}, {"h", 1}, {"s", 64}, {"t", 64}},
      {{"b", 1}, {"h", 1}, {"s", 65}, {"t", 65}}, {{"b", 1}, {"h", 1}, {"s", 5}, {"t", 197}}, {{"b", 0}, {"h", 2}, {"s", 3}, {"t", 3}},
      {{"b", 1}, {"h", 2}, {"s", 3}, {"t", 0}},   {{"b", 1}, {"h", 2}, {"s", 0}, {"t", 3}},  {{"b", 1}, {"h", 1}, {"s", 130}, {"t", 2}}};
  expect_agrees("attention.mma.*", kByHead, {"f16", "bf16"}, sizes);
  expect_agrees("attention.simt.*", kByHead, {"f32"}, sizes);
}


TEST(CudaAttention, HeadSizes) {
  const auto of_size = [](int d, const char* type) {
    expect_agrees("attention.*", cat("(%q: $T[1, 1, s, ", d, "], %k: $T[1, 1, t, ", d, "], %v: $T[1, 1, t, ", d, "]) -> (%y) { %y = Attention(%q, %k, %v) }"),
                  {type}, {{{"s", 18}, {"t", 67}}});
  };
  for (int d : {8, 72, 128, 33, 256}) of_size(d, "f16");
  for (int d : {5, 80, 256}) of_size(d, "f32");
  expect_agrees("attention.*", "(%q: $T[1, 1, 3, 16], %k: $T[1, 1, 40, 16], %v: $T[1, 1, 40, 200]) -> (%y) { %y = Attention(%q, %k, %v) }", {"f32", "bf16"});
}

// Lengths that are known give tiles of their own.
TEST(CudaAttention, KnownLengths) {
  for (int s : {1, 197})
    expect_agrees("attention.*", cat("(%q: $T[2, ", s, ", 64], %k: $T[2, ", s, ", 64], %v: $T[2, ", s, ", 64]) -> (%y) { %y = Attention(%q, %k, %v) {q_num_heads=2, kv_num_heads=2} }"),
                  {"f32", "f16"});
  expect_agrees("attention.mma.128x64", "(%q: f16[12, 197, 768], %k: f16[12, 80, 768], %v: f16[12, 80, 768]) -> (%y) { %y = Attention(%q, %k, %v) {q_num_heads=12, kv_num_heads=12} }", {""});
}

TEST(CudaAttention, Columns) {
  expect_agrees("attention.*", R"((%x: $T[b, s, 52], %z: $T[b, t, 37]) -> (%y) {
    %y = Attention(%x, %x, %z) {q_num_heads=4, kv_num_heads=2, columns=[0, 32, 1], head_sizes=[8, 17]} })", {"f32", "f16"}, {{{"b", 2}, {"s", 19}, {"t", 19}}});
  expect_agrees("attention.*", R"((%x: $T[b, s, 96]) -> (%y) {
    %y = Attention(%x, %x, %x) {q_num_heads=2, kv_num_heads=2, columns=[0, 32, 64], head_sizes=[16, 16]} })", {"f32", "f16"}, {{{"b", 3}, {"s", 33}}});
}

TEST(CudaAttention, Masks) {
  const auto masked = [](const char* type, const char* shape) {
    expect_agrees("attention.*", cat("(%q: $T[2, 2, s, 16], %k: $T[2, 2, t, 16], %v: $T[2, 2, t, 16], %m: ", type, shape, ") -> (%y) { %y = Attention(%q, %k, %v, %m) }"),
                  {"f32", "f16"}, {{{"s", 9}, {"t", 70}}, {{"s", 9}, {"t", 67}}});
  };
  for (const char* shape : {"[2, 2, s, t]", "[1, 2, 1, t]", "[t]"}) masked("$T", shape);
  masked("bool", "[2, 1, s, t]");
  masked("f32", "[s, 66]");  // the last keys are shut out
  masked("i32", "[s, t]");
}

TEST(CudaAttention, Causal) {
  const std::vector<Sizes> sizes = {{{"s", 70}, {"t", 70}}, {{"s", 3}, {"t", 130}}, {{"s", 130}, {"t", 5}}};
  for (const char* attrs : {"is_causal=1", "left_window_size=3", "left_window_size=20, right_window_size=2", "is_causal=1, softcap=2.0, scale=0.5", "scale=-0.7, right_window_size=70"})
    expect_agrees("attention.*", cat("(%q: $T[1, 4, s, 16], %k: $T[1, 2, t, 16], %v: $T[1, 2, t, 16]) -> (%y) { %y = Attention(%q, %k, %v) {", attrs, "} }"),
                  {"f32", "f16"}, sizes);
}

TEST(CudaAttention, PaddedKeys) {
  Tensor valid = Tensor::of_ints({5, 0, 70});
  const Tensor q = integers(DType::f16, {3, 2, 3, 16}, -2, 2), k = integers(DType::f16, {3, 2, 70, 16}, -2, 2), mask = integers(DType::f16, {3, 70}, -2, 2);
  expect_agrees("attention.*", "(%q: f16[3, 2, 3, 16], %k: f16[3, 2, 70, 16], %v: f16[3, 2, 70, 16], %m: f16[3, 70], %n: i64[3]) -> (%y) { %y = Attention(%q, %k, %v, %m, _, _, %n) }",
                {""}, {{}}, {q, k, k, mask, valid});
  for (DType t : {DType::f32, DType::f16})
    for (const char* causal : {"0", "1"})
      expect_agrees("attention.*", cat("(%q: $T[3, 2, 3, 16], %k: $T[3, 2, 70, 16], %v: $T[3, 2, 70, 16], %n: i64[3]) -> (%y) { %y = Attention(%q, %k, %v, _, _, _, %n) {is_causal=", causal, "} }"),
                    {name(t)}, {{}}, {integers(t, {3, 2, 3, 16}, -2, 2), integers(t, {3, 2, 70, 16}, -2, 2), integers(t, {3, 2, 70, 16}, -2, 2), valid});
}

TEST(CudaAttention, Tf32) {
  const auto rounded = [](const char* text, std::vector<Sizes> sizes) {
    AgreeOptions options;
    options.kernel = "attention.tf32.*";
    options.tf32 = true;
    options.sizes = std::move(sizes);
    options.tolerance = Tolerance{.f32 = 1 << 14};
    EXPECT_TRUE(agrees_on_emulator(cat("graph \"m\" ", text), options)) << text;
  };
  rounded("(%q: f32[b, 2, s, 64], %k: f32[b, 2, t, 64], %v: f32[b, 2, t, 40], %m: f32[s, t]) -> (%y) { %y = Attention(%q, %k, %v, %m) }",
          {{{"b", 1}, {"s", 130}, {"t", 70}}, {{"b", 2}, {"s", 1}, {"t", 1}}});
  rounded("(%q: f32[1, 2, 35, 29], %k: f32[1, 2, 70, 29], %v: f32[1, 2, 70, 80]) -> (%y) { %y = Attention(%q, %k, %v) }", {{}});
  AgreeOptions exact;
  exact.kernel = "attention.simt*";
  exact.tf32 = true;
  EXPECT_TRUE(agrees_on_emulator("graph \"m\" (%q: f32[1, 2, 35, 32], %k: f32[1, 2, 70, 32], %v: f32[1, 2, 70, 32]) -> (%y) { %y = Attention(%q, %k, %v) {exact=1} }", exact));
}

// Rows that see nothing, masks that hold the lowest numbers, and what is no number in any operand.
TEST(CudaAttention, NotANumberAndInfinity) {
  const char* graph = "(%q: $T[1, 1, 40, 16], %k: $T[1, 1, 70, 16], %v: $T[1, 1, 70, 16], %m: $T[40, 70]) -> (%y) { %y = Attention(%q, %k, %v, %m) }";
  for (DType t : {DType::f32, DType::f16}) {
    Tensor mask = Tensor::make(t, {40, 70});
    const double lowest = t == DType::f32 ? -3.4028234663852886e38 : -65504;
    for (int64_t i = 0; i < 40; ++i)
      for (int64_t j = 0; j < 70; ++j) mask.set(i * 70 + j, i == 3 ? -INFINITY : i == 4 ? lowest : i % 5 == 0 && j > i ? lowest : (i + j) % 3 == 0 ? -INFINITY : 0.25);
    const Tensor q = integers(t, {1, 1, 40, 16}, -2, 2), k = integers(t, {1, 1, 70, 16}, -2, 2), v = integers(t, {1, 1, 70, 16}, -2, 2);
    expect_agrees("attention.*", graph, {name(t)}, {{}}, {q, k, v, mask});
    Tensor strange = integers(t, {1, 1, 40, 16}, -2, 2);
    strange.set(0, NAN), strange.set(16, INFINITY), strange.set(33, -INFINITY);
    expect_agrees("attention.*", graph, {name(t)}, {{}}, {strange, k, v, mask});
    Tensor key = integers(t, {1, 1, 70, 16}, 1, 2);
    key.set(16 * 69, NAN), key.set(16 * 7, INFINITY);
    expect_agrees("attention.*", graph, {name(t)}, {{}}, {integers(t, {1, 1, 40, 16}, 1, 2), key, v, mask});
    const char* bare = "(%q: $T[1, 1, 40, 16], %k: $T[1, 1, 70, 16], %v: $T[1, 1, 70, 16]) -> (%y) { %y = Attention(%q, %k, %v) }";
    expect_agrees("attention.*", bare, {name(t)}, {{}}, {strange, k, v});
    Tensor value = integers(t, {1, 1, 70, 16}, -2, 2);
    value.set(16 * 69 + 3, NAN), value.set(16 * 2 + 5, INFINITY);
    expect_agrees("attention.*", bare, {name(t)}, {{}}, {q, k, value});
  }
}

TEST(CudaAttention, OfMicrosoft) {
  expect_agrees("attention.*", "(%q: $T[b, s, 24], %k: $T[b, t, 24], %v: $T[b, t, 16]) -> (%y) { %y = com.microsoft.MultiHeadAttention(%q, %k, %v) {num_heads=2} }",
                {"f32", "f16"}, {{{"b", 2}, {"s", 5}, {"t", 9}}});
  expect_agrees("attention.*", R"((%q: $T[b, s, 24], %k: $T[b, 2, t, 12], %v: $T[b, 2, t, 8], %m: $T[1, 2, s, t]) -> (%y) {
    %y = com.microsoft.MultiHeadAttention(%q, %k, %v, _, _, %m) {num_heads=2, unidirectional=1, scale=0.5} })", {"f32", "f16"}, {{{"b", 2}, {"s", 9}, {"t", 9}}});
}

}  // namespace
}  // namespace tenon::emulator
