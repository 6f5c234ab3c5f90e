// Pools, resizing, sampling, recurrent cells, quantising and rotary embeddings on an emulated GPU.
#include "cuda_emulator/family_check.h"

namespace tenon::emulator {
namespace {

TEST(CudaPool, MaxPool) {
  for (DType t : {DType::f32, DType::f16})
    expect_agrees("pool.nchw1",
                  "(%x: $T[2, 3, 11, 8]) -> (%y, %i) { %y, %i = MaxPool(%x) {kernel_shape=[2, 3], "
                  "ceil_mode=1, strides=[2, 2], pads=[0, 1, 1, 1]} }",
                  {name(t)}, {{}}, {specials(t, {2, 3, 11, 8})});
  expect_agrees("pool.nchw1",
                "(%x: $T[2, 3, 11, 8]) -> (%y, %i) { %y, %i = MaxPool(%x) {kernel_shape=[2, 3], "
                "dilations=[2, 1], storage_order=1} }",
                {"f32", "f64"});
  expect_agrees(
      "pool.nhwc*",
      "(%x: $T[b, h, w, 16]) -> (%y) { %y = MaxPool(%x) {kernel_shape=[3, 3], strides=[2, 2], "
      "auto_pad=\"SAME_UPPER\", channels_last=1} }",
      {"f32", "f16", "u8"},
      {{{"b", 2}, {"h", 7}, {"w", 6}}, {{"b", 0}, {"h", 3}, {"w", 3}}, {{"b", 1}, {"h", 1}, {"w", 1}}});
}

TEST(CudaPool, AverageAndLp) {
  expect_agrees("pool.nhwc*",
                "(%x: $T[b, h, w, 6]) -> (%y) { %y = AveragePool(%x) {kernel_shape=[3, 2], strides=[2, 1], "
                "auto_pad=\"SAME_LOWER\", channels_last=1} }",
                {"f32", "bf16"}, {{{"b", 2}, {"h", 7}, {"w", 6}}});
  expect_agrees("pool.nchw1",
                "(%x: $T[2, 3, n]) -> (%y) { %y = AveragePool(%x) {kernel_shape=[3], ceil_mode=1, "
                "strides=[3], pads=[1, 1], count_include_pad=1} }",
                {"f32", "f16"}, {{{"n", 11}}, {{"n", 3}}});
  expect_agrees("pool.nchw1",
                "(%x: $T[2, 3, 5, 6, 7]) -> (%y) { %y = AveragePool(%x) {kernel_shape=[2, 3, 3], strides=[1, "
                "2, 2], pads=[0, 1, 1, 1, 1, 0]} }",
                {"f32"});
  for (int p = 1; p <= 3; ++p)
    expect_agrees(
        "pool.nchw1",
        cat("(%x: $T[2, 3, 9, 7]) -> (%y) { %y = LpPool(%x) {kernel_shape=[3, 3], strides=[2, 2], p=", p,
            "} }"),
        {"f32", "f64"});
}

class CudaResize : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Modes, CudaResize,
    ::testing::Values(
        "mode=\"nearest\"", "mode=\"linear\"", "mode=\"cubic\"",
        "mode=\"nearest\", coordinate_transformation_mode=\"asymmetric\", nearest_mode=\"floor\"",
        "mode=\"linear\", coordinate_transformation_mode=\"align_corners\"",
        "mode=\"linear\", coordinate_transformation_mode=\"pytorch_half_pixel\"",
        "mode=\"cubic\", coordinate_transformation_mode=\"half_pixel_symmetric\", exclude_outside=1",
        "mode=\"nearest\", coordinate_transformation_mode=\"tf_half_pixel_for_nn\", nearest_mode=\"ceil\""));

TEST_P(CudaResize, ByScalesAndSizes) {
  const std::string attrs = GetParam();
  expect_agrees(
      "resize.*table*",
      cat("(%x: $T[1, 2, 5, 7]) -> (%y) { const %s: i64[4] = [1, 2, 8, 4] %y = Resize(%x, _, _, %s) {", attrs,
          "} }"),
      {"f32", "f16"});
  expect_agrees(
      "resize.*table*",
      cat("(%x: $T[1, 5, 7, 8]) -> (%y) { const %s: f32[4] = [1.0, 0.6, 1.7, 1.0] %y = Resize(%x, _, %s) {",
          attrs, "} }"),
      {"f32", "f16"});
  expect_agrees(
      "resize.*",
      cat("(%x: $T[b, 2, h, w]) -> (%y) { const %s: f32[4] = [1.0, 1.0, 2.0, 0.5] %y = Resize(%x, _, %s) {",
          attrs, "} }"),
      {"f32", "f16"}, {{{"b", 2}, {"h", 5}, {"w", 8}}, {{"b", 0}, {"h", 1}, {"w", 2}}});
  expect_agrees(
      "resize.*",
      cat("(%x: $T[b, h, w, 4]) -> (%y) { const %s: i64[2] = [7, 3] %y = Resize(%x, _, _, %s) {axes=[1, 2], ",
          attrs, "} }"),
      {"f32"}, {{{"b", 2}, {"h", 5}, {"w", 8}}});
}

TEST(CudaResizeMore, AntialiasAndCrops) {
  for (const char* mode : {"linear", "cubic"})
    expect_agrees("resize.*table*",
                  cat("(%x: $T[1, 2, 15, 7]) -> (%y) { const %s: i64[4] = [1, 2, 4, 9] %y = Resize(%x, _, _, "
                      "%s) {mode=\"",
                      mode, "\", antialias=1} }"),
                  {"f32", "f16"});
  for (const char* mode : {"linear", "nearest"})
    expect_agrees(
        "resize.*table*",
        cat(R"((%x: $T[1, 5, 7]) -> (%y) { const %s: i64[3] = [1, 8, 4] const %r: f32[6] = [0.0, 0.2, -0.3, 1.0, 1.2, 0.8]
      %y = Resize(%x, %r, _, %s) {mode=")",
            mode, "\", coordinate_transformation_mode=\"tf_crop_and_resize\", extrapolation_value=3.0} }"),
        {"f32", "f16"});
  expect_agrees("resize.*",
                "(%x: $T[1, 5, 7]) -> (%y) { const %s: i64[3] = [1, 8, 4] %y = Resize(%x, _, _, %s) "
                "{mode=\"nearest\"} }",
                {"u8", "i32", "i64"});
}

TEST(CudaGridSample, Modes) {
  for (const char* mode : {"linear", "cubic", "nearest"})
    for (const char* padding : {"zeros", "border", "reflection"})
      expect_agrees(
          "grid_sample.*",
          cat("(%x: $T[2, 3, h, w], %g: f32[2, 3, 7, 2]) -> (%y) { %y = GridSample(%x, %g) {mode=\"", mode,
              "\", padding_mode=\"", padding, "\"} }"),
          {"f32", "f16"}, {{{"h", 4}, {"w", 5}}, {{"h", 1}, {"w", 2}}});
  expect_agrees("grid_sample.*",
                "(%x: $T[1, 2, 3, 4, 5], %g: f32[1, 2, 2, 2, 3]) -> (%y) { %y = GridSample(%x, %g) "
                "{padding_mode=\"reflection\", align_corners=1} }",
                {"f32"});
}

TEST(CudaRoiAlign, MeanAndLargest) {
  const Tensor numbers = integers(DType::f32, {2, 3, 9, 8}, -50, 50), batches = Tensor::of_ints({1, 0});
  const std::vector<double> corners = {0.5, 1, 16, 7.5, 2, 0, 7, 13};
  const Tensor boxes = Tensor::of_floats(corners).reshaped({2, 4});
  expect_agrees("roi_align",
                "(%x: f32[2, 3, h, w], %g: f32[n, 4], %i: i64[n]) -> (%y) { %y = RoiAlign(%x, %g, %i) "
                "{output_height=3, output_width=2, sampling_ratio=2} }",
                {""}, {{}}, {numbers, boxes, batches});
  expect_agrees("roi_align", R"((%x: f32[2, 3, h, w], %g: f32[n, 4], %i: i64[n]) -> (%y) {
    %y = RoiAlign(%x, %g, %i) {output_height=2, output_width=3, mode="max", coordinate_transformation_mode="output_half_pixel", spatial_scale=0.5} })",
                {""}, {{}}, {numbers, boxes, batches});
}

TEST(CudaRecurrent, Lstm) {
  expect_agrees("recurrent.lstm",
                "(%x: $T[s, b, 4], %w: $T[1, 20, 4], %r: $T[1, 20, 5], %b: $T[1, 40]) -> (%y, %h, %c) { %y, "
                "%h, %c = LSTM(%x, %w, %r, %b) }",
                {"f32", "f16", "f64"}, {{{"s", 3}, {"b", 2}}, {{"s", 1}, {"b", 1}}});
  const auto draw = [](Shape s) { return integers(DType::f32, std::move(s), -1, 1); };
  expect_agrees(
      "recurrent.lstm",
      R"((%x: f32[3, 4, 4], %w: f32[2, 12, 4], %r: f32[2, 12, 3], %l: i32[3], %h0: f32[3, 2, 3], %c0: f32[3, 2, 3], %p: f32[2, 9]) -> (%y, %h, %c) {
    %y, %h, %c = LSTM(%x, %w, %r, _, %l, %h0, %c0, %p) {direction="bidirectional", layout=1, clip=0.7} })",
      {""}, {{}},
      {draw({3, 4, 4}), draw({2, 12, 4}), draw({2, 12, 3}), Tensor::of_ints({1, 4, 3}, DType::i32),
       draw({3, 2, 3}), draw({3, 2, 3}), draw({2, 9})});
  expect_agrees("recurrent.lstm", R"((%x: $T[s, b, 4], %w: $T[1, 12, 4], %r: $T[1, 12, 3]) -> (%y, %c) {
    %y, _, %c = LSTM(%x, %w, %r) {direction="reverse", input_forget=1, activations=["HardSigmoid", "Softsign", "Relu"]} })",
                {"f32"}, {{{"s", 4}, {"b", 3}}});
  expect_agrees(
      "recurrent.lstm",
      "(%x: $T[5, 2, 40], %w: $T[1, 280, 40], %r: $T[1, 280, 70]) -> (%y) { %y = LSTM(%x, %w, %r) }",
      {"f32"});
}

TEST(CudaRecurrent, GruAndRnn) {
  for (const char* linear : {"0", "1"})
    expect_agrees("recurrent.gru",
                  cat("(%x: $T[s, b, 4], %w: $T[2, 15, 4], %r: $T[2, 15, 5], %b: $T[2, 30]) -> (%y, %h) { "
                      "%y, %h = GRU(%x, %w, %r, %b) {direction=\"bidirectional\", linear_before_reset=",
                      linear, "} }"),
                  {"f32", "f16"}, {{{"s", 3}, {"b", 2}}});
  expect_agrees("recurrent.rnn",
                R"((%x: $T[s, b, 4], %w: $T[2, 5, 4], %r: $T[2, 5, 5], %b: $T[2, 10]) -> (%y, %h) {
    %y, %h = RNN(%x, %w, %r, %b) {direction="bidirectional", activations=["Tanh", "Elu"]} })",
                {"f32"}, {{{"s", 4}, {"b", 3}}});
}

TEST(CudaQuantize, ThereAndBack) {
  const Tensor scale = Tensor::of_floats(std::vector<double>{0.02, 0.5, 0.1, 0.25, 0.03});
  for (DType t : {DType::i8, DType::u8, DType::i16, DType::u16})
    for (DType f : {DType::f32, DType::f16}) {
      const Tensor x = specials(f, {4, 5, 3}), z = integers(t, {5}, 0, 100),
                   q = integers(t, {4, 5, 3}, 0, 120);
      expect_agrees("quantize",
                    cat("(%x: ", name(f),
                        "[n, 5, 3], %s: f32[5], %z: $T[5]) -> (%y) { %y = QuantizeLinear(%x, %s, %z) }"),
                    {name(t)}, {{}}, {x, scale, z});
      expect_agrees("dequantize",
                    "(%x: $T[n, 5, 3], %s: f32[5], %z: $T[5]) -> (%y) { %y = DequantizeLinear(%x, %s, %z) }",
                    {name(t)}, {{}}, {q, scale, z});
    }
  const Tensor blocks = integers(DType::f32, {4, 3}, 1, 5), one = Tensor::scalar_float(0.3);
  expect_agrees("quantize",
                "(%x: f32[4, 6], %s: f32[4, 3]) -> (%y) { %y = QuantizeLinear(%x, %s) {axis=1, block_size=2, "
                "output_dtype=17} }",
                {""}, {{}}, {specials(DType::f32, {4, 6}), blocks});
  expect_agrees(
      "quantize",
      "(%x: f32[4, 8], %s: f32[]) -> (%y) { %y = QuantizeLinear(%x, %s) {output_dtype=19, saturate=0} }",
      {""}, {{}}, {specials(DType::f32, {4, 8}), one});
  expect_agrees("dequantize", "(%x: $T[n, 8], %s: f32[]) -> (%y) { %y = DequantizeLinear(%x, %s) }",
                {"i8", "i32"}, {{{"n", 3}}, {{"n", 0}}});
}

TEST(CudaRotary, BothDomains) {
  expect_agrees("rotary",
                "(%x: $T[b, 3, n, 8], %c: $T[50, 4], %s: $T[50, 4], %i: i64[b, n]) -> (%y) { %y = "
                "RotaryEmbedding(%x, %c, %s, %i) }",
                {"f32", "f16"}, {{{"b", 2}, {"n", 4}}, {{"b", 0}, {"n", 4}}});
  expect_agrees("rotary",
                "(%x: $T[2, n, 12], %c: $T[2, n, 2], %s: $T[2, n, 2]) -> (%y) { %y = RotaryEmbedding(%x, %c, "
                "%s) {num_heads=3, interleaved=1} }",
                {"f32"}, {{{"n", 5}}});
  expect_agrees("rotary",
                "(%x: $T[1, 2, 3, 8], %c: $T[1, 3, 2], %s: $T[1, 3, 2]) -> (%y) { %y = RotaryEmbedding(%x, "
                "%c, %s) {rotary_embedding_dim=4} }",
                {"f32"});
  expect_agrees("rotary",
                "(%x: f16[2, 5, 12], %i: i64[1], %c: f16[50, 2], %s: f16[50, 2]) -> (%y) { %y = "
                "com.microsoft.RotaryEmbedding(%x, %i, %c, %s) {interleaved=1} }",
                {""}, {{}},
                {integers(DType::f16, {2, 5, 12}, -3, 3), Tensor::of_ints({7}),
                 integers(DType::f16, {50, 2}, -2, 2), integers(DType::f16, {50, 2}, -2, 2)});
}

}  // namespace
}  // namespace tenon::emulator
