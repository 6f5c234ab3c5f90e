#include "calibration/rounding.h"

#include <gtest/gtest.h>

#include "ir/infer.h"
#include "ir/random_input.h"
#include "ir/text.h"

namespace tenon {
namespace {

constexpr Rounds yes = Rounds::may, no = Rounds::no;

Graph graph(std::string_view text) {
  Graph g = parse(text).value();
  EXPECT_TRUE(infer_graph(g).ok());
  return g;
}

std::vector<std::vector<Tensor>> samples(const Shape& shape) {
  return {{random_input(DType::f32, shape, 1).value()}, {random_input(DType::f32, shape, 2).value()}};
}

// What is added and taken away again leaves rounding errors of its own size.
TEST(Rounding, WhatCancelsStays) {
  const Graph g = graph(R"(graph "g" (%x: f32[64]) -> (%y) {
    const %big: f32[] = 1000.0
    const %two: f32[] = 2.0
    %t = Tanh(%x)
    %a = Add(%t, %big)
    %b = Sub(%a, %big)
    %y = Mul(%b, %two)
  })");
  const auto drawn = samples({64});
  const auto choice = choose_by_rounding(g, Narrow::f16, {yes, yes, yes, yes}, drawn, 1e-2);
  ASSERT_TRUE(choice.ok()) << choice.status().to_string();
  EXPECT_GT(choice->all, 0.1);
  EXPECT_LT(choice->left, 2e-3);
  EXPECT_EQ(choice->stays[0], 0);
  EXPECT_GT(choice->stays[1], 0.1);
  EXPECT_GT(choice->stays[2], 0.1);
  EXPECT_EQ(choice->stays[3], 0);
}

TEST(Rounding, WhatMustRoundDoes) {
  const Graph g = graph(R"(graph "g" (%x: f32[64]) -> (%y) {
    const %big: f32[] = 1000.0
    %a = Add(%x, %big)
    %b = Sub(%a, %big)
    %c = Exp(%b)
    %y = Tanh(%c)
  })");
  const auto drawn = samples({64});
  const auto choice = choose_by_rounding(g, Narrow::f16, {Rounds::must, Rounds::must, yes, yes}, drawn, 1e-2);
  ASSERT_TRUE(choice.ok()) << choice.status().to_string();
  EXPECT_EQ(choice->stays[0], 0);
  EXPECT_EQ(choice->stays[1], 0);
  EXPECT_GT(choice->left, 0.05);  // what it says of them is true
  EXPECT_EQ(choose_by_rounding(g, Narrow::f16, {Rounds::must, Rounds::must, no, no}, drawn, 1e-2)->left, choose_by_rounding(g, Narrow::f16, {yes, yes, no, no}, drawn, 1)->all);
}

TEST(Rounding, WhereAllIsWellNothingStays) {
  const Graph g = graph(R"(graph "g" (%x: f32[2, 3, 9, 9]) -> (%y) {
    const %w: f32[8, 3, 3, 3] = random 1
    %c = Conv(%x, %w)
    %y = Relu(%c)
  })");
  const auto drawn = samples({2, 3, 9, 9});
  for (const auto& [to, least, most] : {std::tuple{Narrow::f16, 1e-5, 2e-3}, {Narrow::bf16, 1e-4, 1.6e-2}}) {
    const auto choice = choose_by_rounding(g, to, {yes, yes}, drawn, 2e-2);
    ASSERT_TRUE(choice.ok()) << choice.status().to_string();
    EXPECT_GT(choice->all, least);
    EXPECT_LT(choice->all, most);
    EXPECT_EQ(choice->stays, (std::vector<double>{0, 0}));
  }
  // Nobody rounds: nothing moves.
  EXPECT_EQ(choose_by_rounding(g, Narrow::bf16, {no, no}, drawn, 1e-2)->all, 0);
}

// Integers up to 1024 are exact in tf32: what moves is the constant's doing, which a fast kernel has packed.
TEST(Rounding, ConstantsRoundToo) {
  const Graph g = graph(R"(graph "g" (%x: f32[2, 1]) -> (%y) {
    const %w: f32[1, 1] = [1.000732421875]
    %y = MatMul(%x, %w)
  })");
  const std::vector<std::vector<Tensor>> whole{{Tensor::of_floats(std::vector<double>{3, 1000}).reshaped({2, 1})}};
  for (const auto& [to, moves] : {std::pair{Narrow::tf32, 0x1p-12}, {Narrow::bf16, 3 * 0x1p-12}}) {
    const auto choice = choose_by_rounding(g, to, {yes}, whole, 1);
    ASSERT_TRUE(choice.ok()) << choice.status().to_string();
    EXPECT_NEAR(choice->all, moves, 1e-6);
  }
}

TEST(Rounding, InTf32OnlyFactorsRound) {
  const Graph g = graph(R"(graph "g" (%x: f32[2, 4, 5, 5], %m: f32[5, 3]) -> (%e, %d, %p) {
    const %w: f32[4, 1, 3, 3] = random 1
    %e = Exp(%x)
    %d = Conv(%x, %w) {group=4}
    %p = MatMul(%x, %m)
  })");
  const std::vector<std::vector<Tensor>> drawn{{random_input(DType::f32, {2, 4, 5, 5}, 1).value(), random_input(DType::f32, {5, 3}, 2).value()}};
  EXPECT_EQ(choose_by_rounding(g, Narrow::tf32, {yes, yes, no}, drawn, 1)->all, 0);
  const auto product = choose_by_rounding(g, Narrow::tf32, {yes, yes, yes}, drawn, 1);
  EXPECT_GT(product->all, 1e-5);
  EXPECT_LT(product->all, 1e-3);
}

// Of two products either of which would have to stay, the one that costs less does.
TEST(Rounding, TheCheapOneStays) {
  const Graph g = graph(R"(graph "g" (%x: f32[8, 64]) -> (%y) {
    const %large: f32[64, 64] = random 1
    const %small: f32[64, 1] = random 2
    const %two: f32[] = 2.0
    %a = MatMul(%x, %large)
    %b = MatMul(%x, %small)
    %c = Mul(%b, %two)
    %y = Add(%a, %c)
  })");
  const std::vector<Rounds> products{yes, yes, no, no};
  const auto both = choose_by_rounding(g, Narrow::tf32, products, samples({8, 64}), 1e-7);
  ASSERT_TRUE(both.ok()) << both.status().to_string();
  EXPECT_GT(both->stays[0], 0);
  EXPECT_GT(both->stays[1], 0);
  const double allowed = std::max(both->stays[0], both->stays[1]) * 1.02;
  ASSERT_GT(both->all, allowed);
  const auto one = choose_by_rounding(g, Narrow::tf32, products, samples({8, 64}), allowed);
  ASSERT_TRUE(one.ok()) << one.status().to_string();
  EXPECT_EQ(one->stays[0], 0);
  EXPECT_GT(one->stays[1], 0);
  EXPECT_LE(one->left, allowed);
}

// What only the second sample shows counts; one that is too much work does not.
TEST(Rounding, TheWorstSampleCounts) {
  const Graph g = graph(R"(graph "g" (%x: f32[n]) -> (%y) {
    const %big: f32[] = 1000.0
    %a = Add(%x, %big)
    %y = Sub(%a, %big)
  })");
  const std::vector<std::vector<Tensor>> two{{Tensor::of_floats(std::vector<double>{8, 16})}, {Tensor::of_floats(std::vector<double>{0.25, 0.125, 0.5, 0.75})}};
  const auto both = choose_by_rounding(g, Narrow::f16, {yes, yes}, two, 0.1);
  ASSERT_TRUE(both.ok()) << both.status().to_string();
  EXPECT_EQ(both->samples, 2u);
  EXPECT_GT(both->all, 0.3);
  EXPECT_LT(both->left, 0.1);
  const auto first = choose_by_rounding(g, Narrow::f16, {yes, yes}, two, 0.1, {.threads = 1, .most_work = 10});
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(first->samples, 1u);
  EXPECT_EQ(first->all, 0);
}

TEST(Rounding, MuchWorkIsRefused) {
  const Graph g = graph(R"(graph "g" (%x: f32[64, 64]) -> (%y) {
    %y = MatMul(%x, %x)
  })");
  const auto choice = choose_by_rounding(g, Narrow::f16, {yes}, samples({64, 64}), 1e-2, {.threads = 1, .most_work = 1e5});
  EXPECT_EQ(choice.status().code(), Code::unavailable);
}

}  // namespace
}  // namespace tenon
