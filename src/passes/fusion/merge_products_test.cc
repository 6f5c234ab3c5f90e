#include "passes/pass_test.h"

namespace tenon {
namespace {

std::string projections(const char* nodes, const char* attrs = "q_num_heads=2, kv_num_heads=2") {
  return cat(R"(graph "g" (%x: f32[b, s, 3], %z: f32[b, t, 3]) -> (%y) {
  const %wq: f32[3, 4] = random 1
  const %wk: f32[3, 4] = random 2
  const %wv: f32[3, 6] = random 3
  const %bq: f32[4] = [1.0, 2.0, -1.0, 0.5]
  const %bv: f32[6] = [1.0, 2.0, -1.0, 0.5, 0.0, 3.0]
)", nodes, "\n  %y = Attention(%q, %k, %v) {", attrs, "}\n}\n");
}

TEST(MergeProducts, OneInput) {
  const Graph g = expect_same_results("merge_products", projections("%q = MatMul(%x, %wq) %k = MatMul(%x, %wk) %v = MatMul(%x, %wv)"));
  EXPECT_EQ(ops_of(g), "MatMul Attention");
  EXPECT_EQ(g.nodes[1].attrs.ints("columns"), (Ints{0, 4, 8}));
  EXPECT_EQ(g.nodes[1].attrs.ints("head_sizes"), (Ints{2, 3}));
}

TEST(MergeProducts, WithBias) {
  EXPECT_EQ(ops_of(expect_same_results("merge_products", projections(
                "%a = MatMul(%x, %wq) %q = Add(%a, %bq) %k = MatMul(%x, %wk) %c = MatMul(%x, %wv) %v = Add(%bv, %c)"))),
            "MatMul Add Attention");
}

TEST(MergeProducts, KeysAndValues) {
  const Graph g = expect_same_results("merge_products", projections("%q = MatMul(%x, %wq) %k = MatMul(%z, %wk) %v = MatMul(%z, %wv)"));
  EXPECT_EQ(ops_of(g), "MatMul MatMul Attention");
  EXPECT_EQ(g.nodes[2].attrs.ints("columns"), (Ints{0, 0, 4}));
}

TEST(MergeProducts, WhatStays) {
  EXPECT_EQ(ops_of(expect_same_results("merge_products", projections("%q = MatMul(%x, %wq) %k = MatMul(%z, %wk) %r = MatMul(%z, %wv) %v = Relu(%r)"))),
            "MatMul MatMul MatMul Relu Attention");
}

}  // namespace
}  // namespace tenon
