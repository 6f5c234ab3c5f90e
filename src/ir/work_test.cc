#include "ir/work.h"

#include <gtest/gtest.h>

#include "ir/infer.h"
#include "ir/text.h"

namespace tenon {
namespace {

// The work of the last node of a graph of fixed shapes.
Work work(std::string_view text) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  if (!g.ok()) return {};
  EXPECT_TRUE(infer_graph(*g).ok());
  const Node& n = g->nodes.back();
  std::vector<Operand> in, out;
  for (ValueId v : n.inputs) in.push_back(v == kNoValue ? Operand{} : Operand{g->info(v).dtype, *to_concrete(g->info(v).shape)});
  for (ValueId v : n.outputs) out.push_back({g->info(v).dtype, *to_concrete(g->info(v).shape)});
  auto w = work_of(n, in, out);
  EXPECT_TRUE(w.ok()) << w.status().to_string();
  return w.ok() ? *w : Work{};
}

TEST(Work, OfProducts) {
  const Work w = work(R"(graph "g" (%x: f16[2, 30, 40], %w: f16[40, 50]) -> (%y) { %y = MatMul(%x, %w) })");
  EXPECT_EQ(w.flops.products, 2.0 * 60 * 40 * 50);
  EXPECT_EQ(w.flops.other, 0);
  EXPECT_EQ(w.factors, DType::f16);
  EXPECT_EQ(w.bytes, 2.0 * (60 * 40 + 40 * 50 + 60 * 50));
  EXPECT_EQ(work(R"(graph "g" (%x: f32[40, 60], %w: f32[50, 40]) -> (%y) { %y = Gemm(%x, %w) {transA=1, transB=1} })").flops.products, 2.0 * 60 * 40 * 50);
  EXPECT_EQ(work(R"(graph "g" (%x: f32[40], %w: f32[40, 5]) -> (%y) { %y = MatMul(%x, %w) })").flops.products, 2.0 * 40 * 5);
  EXPECT_EQ(work(R"(graph "g" (%x: f32[0, 4], %w: f32[4, 5]) -> (%y) { %y = MatMul(%x, %w) })").flops.products, 0);
  EXPECT_EQ(work(R"(graph "g" (%x: f32[2, 3, 4], %w: f32[2, 4, 5]) -> (%y) { %y = Einsum(%x, %w) {equation="bij,bjk->bik"} })").flops.products,
            2.0 * 2 * 3 * 4 * 5);
  EXPECT_EQ(work(R"(graph "g" (%x: f32[7, 2, 3], %w: f32[1, 20, 3], %r: f32[1, 20, 5]) -> (%y) { %y = LSTM(%x, %w, %r) {hidden_size=5} })").flops.products,
            2.0 * 7 * 2 * 20 * (3 + 5));
}

TEST(Work, OfConvolutions) {
  // Each of the 2*8*14*14 results sums 4*3*3 products, whether channels are first or last.
  for (const char* text : {R"(graph "g" (%x: f32[2, 8, 14, 14], %w: f32[8, 4, 3, 3]) -> (%y) { %y = Conv(%x, %w) {group=2, pads=[1, 1, 1, 1]} })",
                           R"(graph "g" (%x: f32[2, 14, 14, 8], %w: f32[8, 4, 3, 3]) -> (%y) { %y = Conv(%x, %w) {group=2, pads=[1, 1, 1, 1], channels_last=1} })"})
    EXPECT_EQ(work(text).flops.products, 2.0 * 2 * 8 * 14 * 14 * 4 * 9) << text;
  EXPECT_EQ(work(R"(graph "g" (%x: f32[1, 6, 5, 5], %w: f32[6, 4, 2, 2]) -> (%y) { %y = ConvTranspose(%x, %w) {strides=[2, 2]} })").flops.products,
            2.0 * 6 * 25 * 4 * 4);
}

TEST(Work, OfAttention) {
  const Work w = work(R"(graph "g" (%q: f16[1, 4, 8, 16], %k: f16[1, 2, 8, 16], %v: f16[1, 2, 8, 16]) -> (%y) { %y = Attention(%q, %k, %v) })");
  EXPECT_EQ(w.flops.products, 2.0 * 2 * 4 * 8 * 8 * 16);
  const Work causal = work(R"(graph "g" (%q: f16[1, 4, 8, 16], %k: f16[1, 2, 8, 16], %v: f16[1, 2, 8, 16]) -> (%y) { %y = Attention(%q, %k, %v) {is_causal=1} })");
  EXPECT_EQ(causal.flops.products, 2.0 * 2 * 4 * 8 * 4.5 * 16);
}

TEST(Work, OfTheRest) {
  EXPECT_EQ(work(R"(graph "g" (%x: f32[30]) -> (%y) { %y = Relu(%x) })").flops.other, 30);
  EXPECT_EQ(work(R"(graph "g" (%x: f32[4, 50]) -> (%y) { %y = Softmax(%x) })").flops.other, 200);
  // Elements that only move: nothing is computed, and of a table only what is taken is read.
  const Work gather = work(R"(graph "g" (%x: f32[1000, 8], %i: i64[3]) -> (%y) { %y = Gather(%x, %i) })");
  EXPECT_EQ(gather.flops.total(), 0);
  EXPECT_EQ(gather.bytes, 2 * 3 * 8 * 4 + 3 * 8);
}

TEST(Work, OfFusedNodesIsTheirBodys) {
  const Work w = work(R"(graph "g" (%x: bf16[6, 4], %w: bf16[4, 5], %b: bf16[5]) -> (%y) {
    %y = tenon.Fused(%x, %w, %b) {kind="matmul", body=graph "body" (%x: bf16[n, 4], %w: bf16[4, 5], %b: bf16[5]) -> (%z) {
      %m: bf16[n, 5] = MatMul(%x, %w)
      %a: bf16[n, 5] = Add(%m, %b)
      %z: bf16[n, 5] = Relu(%a)
    }}
  })");
  EXPECT_EQ(w.flops.products, 2.0 * 6 * 4 * 5);
  EXPECT_EQ(w.flops.other, 2.0 * 30);
  EXPECT_EQ(w.factors, DType::bf16);
  EXPECT_EQ(w.bytes, 2.0 * (24 + 20 + 5 + 30));
}

}  // namespace
}  // namespace tenon
