#include "calibration/rounding.h"

#include <gtest/gtest.h>

#include "ir/infer.h"
#include "ir/random_input.h"
#include "ir/text.h"

namespace tenon {
namespace {

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
  const auto choice = choose_by_rounding(g, DType::f16, {true, true, true, true}, drawn, 1e-2);
  ASSERT_TRUE(choice.ok()) << choice.status().to_string();
  EXPECT_GT(choice->all, 0.1);
  EXPECT_LT(choice->left, 2e-3);
  EXPECT_EQ(choice->stays[0], 0);
  EXPECT_GT(choice->stays[1], 0.1);
  EXPECT_GT(choice->stays[2], 0.1);
  EXPECT_EQ(choice->stays[3], 0);
}

TEST(Rounding, WhereAllIsWellNothingStays) {
  const Graph g = graph(R"(graph "g" (%x: f32[2, 3, 9, 9]) -> (%y) {
    const %w: f32[8, 3, 3, 3] = random 1
    %c = Conv(%x, %w)
    %y = Relu(%c)
  })");
  const auto drawn = samples({2, 3, 9, 9});
  for (const auto& [low, least, most] : {std::tuple{DType::f16, 1e-5, 2e-3}, {DType::bf16, 1e-4, 1.6e-2}}) {
    const auto choice = choose_by_rounding(g, low, {true, true}, drawn, 2e-2);
    ASSERT_TRUE(choice.ok()) << choice.status().to_string();
    EXPECT_GT(choice->all, least);
    EXPECT_LT(choice->all, most);
    EXPECT_EQ(choice->stays, (std::vector<double>{0, 0}));
  }
  // Nobody rounds: nothing moves.
  EXPECT_EQ(choose_by_rounding(g, DType::bf16, {false, false}, drawn, 1e-2)->all, 0);
}

TEST(Rounding, MuchWorkIsRefused) {
  const Graph g = graph(R"(graph "g" (%x: f32[64, 64]) -> (%y) {
    %y = MatMul(%x, %x)
  })");
  const auto choice = choose_by_rounding(g, DType::f16, {true}, samples({64, 64}), 1e-2, {.threads = 1, .most_work = 1e5});
  EXPECT_EQ(choice.status().code(), Code::unavailable);
}

}  // namespace
}  // namespace tenon
