// Kernels that work along an axis, on an emulated GPU: softmax, norms, reductions, orders, scans. Sizes are
// odd, prime, one and zero, and lie on both sides of where kernels change.
#include "cuda_emulator/family_check.h"

namespace tenon::emulator {
namespace {

TEST(CudaSoftmax, Rows) {
  const char* graph = "(%x: $T[b, s]) -> (%y) { %y = Softmax(%x) }";
  expect_agrees("softmax.*", graph, {"f32", "f16", "bf16", "f64"},
                {{{"b", 3}, {"s", 77}}, {{"b", 1}, {"s", 1}}, {{"b", 0}, {"s", 5}}, {{"b", 4}, {"s", 0}}});
  expect_agrees("softmax.*", graph, {"f32", "f16"},
                {{{"b", 2}, {"s", 2048}}, {{"b", 2}, {"s", 2049}}, {{"b", 1}, {"s", 5003}}});
  expect_agrees("softmax.warp", "(%x: $T[3, 5]) -> (%y) { %y = Softmax(%x) }", {"f32", "f64"}, {{}});
  expect_agrees("softmax.warp", "(%x: $T[1030, 24]) -> (%y) { %y = LogSoftmax(%x) }", {"f32", "f16"});
  expect_agrees("softmax.block", "(%x: $T[9, 1001]) -> (%y) { %y = LogSoftmax(%x) }", {"f32", "bf16"});
  expect_agrees("softmax.long", "(%x: $T[1, 40000]) -> (%y) { %y = Softmax(%x) }", {"f32", "f16"});
}

TEST(CudaSoftmax, Columns) {
  expect_agrees("softmax.columns", "(%x: $T[b, s, 5]) -> (%y) { %y = Softmax(%x) {axis=1} }",
                {"f32", "f16", "f64"}, {{{"b", 2}, {"s", 65}}, {{"b", 1}, {"s", 1}}, {{"b", 3}, {"s", 0}}});
  expect_agrees("softmax.columns", "(%x: $T[3, 7, 130]) -> (%y) { %y = LogSoftmax(%x) {axis=1} }",
                {"f32", "bf16"});
}

TEST(CudaSoftmax, NotANumberAndInfinity) {
  for (DType t : {DType::f32, DType::f16}) {
    expect_agrees("softmax.warp", "(%x: $T[40, 7]) -> (%y) { %y = Softmax(%x) }", {name(t)}, {{}},
                  {specials(t, {40, 7})});
    expect_agrees("softmax.columns", "(%x: $T[40, 7, 3]) -> (%y) { %y = LogSoftmax(%x) {axis=1} }", {name(t)},
                  {{}}, {specials(t, {40, 7, 3})});
  }
  Tensor low = Tensor::make(DType::f32, {2, 3});
  for (int64_t i = 0; i < 6; ++i) low.set(i, -INFINITY);
  expect_agrees("softmax.warp", "(%x: f32[2, 3]) -> (%y) { %y = Softmax(%x) }", {""}, {{}}, {low});
}

TEST(CudaNorm, LayerNormalization) {
  expect_agrees("norm.*",
                "(%x: $T[b, n], %s: $T[n], %c: $T[n]) -> (%y) { %y = LayerNormalization(%x, %s, %c) }",
                {"f32", "f16", "f64"},
                {{{"b", 3}, {"n", 33}}, {{"b", 1}, {"n", 1}}, {{"b", 0}, {"n", 8}}, {{"b", 2}, {"n", 2050}}});
  expect_agrees("norm.block",
                "(%x: $T[b, 768], %s: $T[768], %c: $T[768]) -> (%y) { %y = LayerNormalization(%x, %s, %c) }",
                {"f32", "f16"}, {{{"b", 5}}});
  expect_agrees("norm.warp",
                "(%x: $T[1030, 72], %s: $T[72]) -> (%y, %m, %i) { %y, %m, %i = LayerNormalization(%x, %s) }",
                {"f32", "bf16"});
  expect_agrees("norm.long", "(%x: $T[1, 33000], %s: $T[33000]) -> (%y) { %y = LayerNormalization(%x, %s) }",
                {"f32"});
  expect_agrees("norm.*",
                "(%x: f16[2, 5, 77], %s: f32[5, 77]) -> (%y) { %y = RMSNormalization(%x, %s) {axis=1} }",
                {""});
}

TEST(CudaNorm, ByChannel) {
  expect_agrees(
      "norm.*",
      "(%x: $T[b, 3, h, 4], %s: $T[3], %c: $T[3]) -> (%y) { %y = InstanceNormalization(%x, %s, %c) }",
      {"f32", "f16"}, {{{"b", 2}, {"h", 9}}, {{"b", 1}, {"h", 0}}, {{"b", 0}, {"h", 2}}});
  expect_agrees("norm.*",
                "(%x: $T[b, 6, 7, w], %s: $T[6], %c: $T[6]) -> (%y) { %y = GroupNormalization(%x, %s, %c) "
                "{num_groups=3} }",
                {"f32", "f64"}, {{{"b", 2}, {"w", 5}}, {{"b", 1}, {"w", 150}}});
  expect_agrees("batch_norm", R"((%x: $T[b, 3, n]) -> (%y) {
    const %s: f32[3] = [1.0, 2.0, -1.0] const %c: f32[3] = [0.5, 0.0, 1.0] const %m: f32[3] = [1.0, 2.0, -1.0] const %v: f32[3] = [1.0, 2.0, 4.0]
    %y = BatchNormalization(%x, %s, %c, %m, %v) })",
                {"f32"}, {{{"b", 2}, {"n", 7}}, {{"b", 1}, {"n", 0}}});
}

TEST(CudaNorm, WithAResidual) {
  expect_agrees(
      "norm.*",
      R"((%x: $T[b, 3, 72], %k: $T[b, 3, 72], %s: $T[72], %c: $T[72], %d: $T[72]) -> (%y, %m, %i, %z) {
    %y, %m, %i, %z = com.microsoft.SkipLayerNormalization(%x, %k, %s, %c, %d) })",
      {"f32", "f16"}, {{{"b", 2}}});
  expect_agrees("norm.*",
                "(%x: $T[b, 3, 9], %k: $T[3, 9], %s: $T[9]) -> (%y, %z) { %y, _, _, %z = "
                "com.microsoft.SkipLayerNormalization(%x, %k, %s) }",
                {"f32"}, {{{"b", 4}}, {{"b", 0}}});
  expect_agrees("norm.*",
                "(%x: $T[b, n, 16], %k: $T[b, n, 16], %s: $T[16]) -> (%y, %i) { %y, _, %i = "
                "com.microsoft.SkipSimplifiedLayerNormalization(%x, %k, %s) }",
                {"f32", "f16"}, {{{"b", 4}, {"n", 3}}});
}

TEST(CudaReduce, EveryShape) {
  for (const char* op :
       {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceProd", "ReduceL2", "ReduceLogSumExp"}) {
    const auto reduce = [&](const char* x, const char* axes, std::vector<Sizes> sizes) {
      expect_agrees("reduce.*",
                    cat("(%x: $T", x, ") -> (%y) { ", axes, " %y = ", op, "(%x", *axes ? ", %a" : "",
                        ") {keepdims=0} }"),
                    {"f32", "f16", "i32"}, sizes);
    };
    reduce("[3, 5, n]", "const %a: i64[1] = [1]", {{{"n", 7}}, {{"n", 64}}, {{"n", 0}}});
    reduce("[a, n]", "const %a: i64[1] = [-1]",
           {{{"a", 2}, {"n", 129}}, {{"a", 3}, {"n", 0}}, {{"a", 70}, {"n", 1}}});
    reduce("[a, 3, b, 5]", "const %a: i64[2] = [1, 3]", {{{"a", 2}, {"b", 4}}});
    reduce("[a, 3, b, 8]", "const %a: i64[2] = [0, 2]", {{{"a", 2}, {"b", 4}}});
    reduce("[a, b]", "", {{{"a", 5}, {"b", 13}}, {{"a", 0}, {"b", 2}}});
  }
}

TEST(CudaReduce, EveryType) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd"})
    expect_agrees("reduce.rows",
                  cat("(%x: $T[3, 50]) -> (%y) { const %a: i64[1] = [1] %y = ", op, "(%x, %a) }"),
                  {"f64", "i64", "u32", "u64"});
  // The logarithm of a sum near zero would show the order of the sum.
  for (DType t : {DType::f32, DType::f64, DType::i64})
    expect_agrees("reduce.rows",
                  "(%x: $T[3, 50]) -> (%y) { const %a: i64[1] = [1] %y = ReduceLogSum(%x, %a) }", {name(t)},
                  {{}}, {integers(t, {3, 50}, 1, 9)});
  for (const char* op : {"ReduceMax", "ReduceMin"}) {
    expect_agrees("reduce.columns",
                  cat("(%x: $T[3, 50, 3]) -> (%y) { const %a: i64[1] = [1] %y = ", op, "(%x, %a) }"),
                  {"f64", "i64", "u64", "u8", "bool"});
    for (DType t : {DType::i8, DType::i32, DType::i64})
      expect_agrees("reduce.rows",
                    cat("(%x: $T[3, 50]) -> (%y) { const %a: i64[1] = [1] %y = ", op, "(%x, %a) }"),
                    {name(t)}, {{}}, {integers(t, {3, 50}, -100, 100)});
    expect_agrees("reduce.columns",
                  cat("(%x: f16[9, 5, 3]) -> (%y) { const %a: i64[1] = [1] %y = ", op, "(%x, %a) }"), {""},
                  {{}}, {specials(DType::f16, {9, 5, 3})});
  }
}

TEST(CudaReduce, InTwoStages) {
  expect_agrees("reduce.rows.split",
                "(%x: $T[2, 200000]) -> (%y) { const %a: i64[1] = [1] %y = ReduceSum(%x, %a) }",
                {"f32", "i32"});
  expect_agrees("reduce.columns.split",
                "(%x: $T[70001, 4]) -> (%y) { const %a: i64[1] = [0] %y = ReduceMax(%x, %a) }",
                {"f32", "f16"});
  expect_agrees("reduce.columns.split",
                "(%x: $T[2, 3137, 24]) -> (%y) { const %a: i64[1] = [1] %y = ReduceMean(%x, %a) }",
                {"f32", "f16"});
  expect_agrees("reduce.rows.split", "(%x: $T[n]) -> (%y) { %y = ReduceMean(%x) }", {"f32", "f16"},
                {{{"n", 30001}}, {{"n", 3}}, {{"n", 0}}});
}

TEST(CudaReduce, GlobalPools) {
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"})
    expect_agrees("reduce.rows", cat("(%x: $T[b, 6, h, w]) -> (%y) { %y = ", op, "(%x) }"), {"f32", "f16"},
                  {{{"b", 2}, {"h", 7}, {"w", 5}}});
}

TEST(CudaArgReduce, PlacesOfExtremes) {
  for (const char* op : {"ArgMax", "ArgMin"})
    for (const char* last : {"", ", select_last_index=1"}) {
      for (DType t : {DType::f32, DType::f16}) {
        expect_agrees("arg_reduce.rows",
                      cat("(%x: $T[9, 300]) -> (%y) { %y = ", op, "(%x) {axis=1", last, "} }"), {name(t)},
                      {{}}, {specials(t, {9, 300})});
        expect_agrees("arg_reduce.columns",
                      cat("(%x: $T[9, 30, 5]) -> (%y) { %y = ", op, "(%x) {axis=1", last, "} }"), {name(t)},
                      {{}}, {specials(t, {9, 30, 5})});
      }
      expect_agrees("arg_reduce.*", cat("(%x: $T[b, n]) -> (%y) { %y = ", op, "(%x) {axis=-1", last, "} }"),
                    {"i32", "u64", "u8", "f64"},
                    {{{"b", 3}, {"n", 500}}, {{"b", 2}, {"n", 1}}, {{"b", 0}, {"n", 3}}});
    }
}

TEST(CudaTopK, SortsAndSelects) {
  const char* small = "(%x: $T[9, 7]) -> (%y, %i) { const %k: i64[1] = [3] %y, %i = TopK(%x, %k) }";
  expect_agrees("topk.sort", small, {"f64", "i32", "u8", "i64"});
  for (DType t : {DType::f32, DType::f16})
    expect_agrees("topk.sort", small, {name(t)}, {{}}, {specials(t, {9, 7})});
  expect_agrees(
      "topk.select",
      "(%x: $T[b, n, 3]) -> (%y, %i) { const %k: i64[1] = [9] %y, %i = TopK(%x, %k) {axis=1, largest=0} }",
      {"f32", "f16", "u8", "i64"}, {{{"b", 2}, {"n", 700}}, {{"b", 1}, {"n", 9}}, {{"b", 0}, {"n", 10}}});
  expect_agrees("topk.select",
                "(%x: $T[2, 5000]) -> (%y, %i) { const %k: i64[1] = [100] %y, %i = TopK(%x, %k) }",
                {"f32", "f64"});
  expect_agrees("topk.select",
                "(%x: f16[2, 3000]) -> (%y, %i) { const %k: i64[1] = [600] %y, %i = TopK(%x, %k) }", {""},
                {{}}, {specials(DType::f16, {2, 3000})});
}

// How many is known when shapes are, and never many.
TEST(CudaTopK, SelectsUpToABound) {
  for (const char* type : {"f32", "i64"})
    expect_agrees("topk.select", "(%x: $T[2, n]) -> (%y, %i) { %k: i64[1] = tenon.Dims() {dims=[\"min(9, n)\"]} %y: $T[2, min(9, n)], %i: i64[2, min(9, n)] = TopK(%x, %k) }",
                  {type}, {{{"n", 0}}, {{"n", 1}}, {{"n", 5}}, {{"n", 9}}, {{"n", 700}}});
}

TEST(CudaTopK, WholeRows) {
  expect_agrees("topk.whole",
                "(%x: $T[2, n]) -> (%y, %i) { const %k: i64[1] = [2500] %y, %i = TopK(%x, %k) }",
                {"f32", "i64"}, {{{"n", 2500}}, {{"n", 3000}}});
  for (int64_t n : {1, 7, 2049})
    expect_agrees("topk.whole", "(%x: f16[b, n], %k: i64[1]) -> (%y, %i) { %y, %i = TopK(%x, %k) }", {""},
                  {{}}, {specials(DType::f16, {2, n}), Tensor::of_ints({(n + 1) / 2})});
}

TEST(CudaCumulative, RowsAndColumns) {
  expect_agrees("cumulative.rows", "(%x: $T[b, n]) -> (%y) { const %a: i64[] = -1 %y = CumSum(%x, %a) }",
                {"f32", "i32", "i64"}, {{{"b", 2}, {"n", 1300}}, {{"b", 1}, {"n", 1}}, {{"b", 2}, {"n", 0}}});
  expect_agrees("cumulative.rows",
                "(%x: $T[b, n]) -> (%y) { const %a: i64[] = 1 %y = CumSum(%x, %a) {exclusive=1, reverse=1} }",
                {"f32", "i32"}, {{{"b", 2}, {"n", 1025}}});
  expect_agrees("cumulative.columns",
                "(%x: $T[b, n]) -> (%y) { const %a: i64[] = 0 %y = CumSum(%x, %a) {exclusive=1} }",
                {"f16", "i64"}, {{{"b", 7}, {"n", 5}}});
  expect_agrees("cumulative.*", "(%x: $T[2, 50]) -> (%y) { const %a: i64[] = 1 %y = CumProd(%x, %a) }",
                {"f64", "i32"});
}

TEST(CudaLrn, ChannelsAndLines) {
  expect_agrees("lrn", "(%x: $T[n, 7, 5, 3]) -> (%y) { %y = LRN(%x) {size=5, alpha=0.1} }", {"f32", "f16"},
                {{{"n", 2}}});
  expect_agrees("lp_normalize", "(%x: $T[2, n, 65]) -> (%y) { %y = LpNormalization(%x) }", {"f32", "f16"},
                {{{"n", 3}}, {{"n", 0}}});
  expect_agrees("lp_normalize", "(%x: $T[4, 5, 3]) -> (%y) { %y = LpNormalization(%x) {axis=1, p=1} }",
                {"f32"});
}

}  // namespace
}  // namespace tenon::emulator
