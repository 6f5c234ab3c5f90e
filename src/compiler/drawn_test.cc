#include "compiler/drawn.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/shapes.h"
#include "ir/text.h"

namespace tenon {
namespace {

Graph graph(const char* text) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  return std::move(g).value();
}

// The mean difference of neighbours in a row, in parts of the deviation.
double roughness(const Tensor& t) {
  const float* x = t.as<float>();
  const int64_t n = t.size(), width = t.shape().back();
  double mean = 0, square = 0, step = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i] / double(n);
  for (int64_t i = 0; i < n; ++i) square += (x[i] - mean) * (x[i] - mean) / double(n);
  for (int64_t i = 0; i < n; ++i) step += (i + 1) % width ? std::fabs(x[i + 1] - x[i]) / double(n) : 0;
  return step / std::sqrt(square);
}

TEST(Drawn, NeighboursAreAlikeInFieldsAndNotInNoise) {
  const Graph g = graph(R"(graph "g" (%x: f32[1, 3, 48, 48], %ids: i64[1, 8]) -> (%y) {
    %y = Relu(%x)
  })");
  const std::vector<Shape> shapes{{1, 3, 48, 48}, {1, 8}};
  std::vector<double> rough;
  for (const Drawn how : {Drawn::noise, Drawn::edges, Drawn::smooth}) {
    const auto drawn = draw_inputs(g, shapes, how, 0), again = draw_inputs(g, shapes, how, 0), other = draw_inputs(g, shapes, how, 1000);
    ASSERT_TRUE(drawn.ok() && again.ok() && other.ok());
    EXPECT_TRUE((*drawn)[0].identical((*again)[0]));
    EXPECT_FALSE((*drawn)[0].identical((*other)[0]));
    for (int64_t i = 0; i < 8; ++i) EXPECT_TRUE((*drawn)[1].as<int64_t>()[i] == 0 || (*drawn)[1].as<int64_t>()[i] == 1);
    rough.push_back(roughness((*drawn)[0]));
  }
  EXPECT_GT(rough[0], 1);
  EXPECT_LT(rough[1], rough[0]);
  EXPECT_LT(rough[2], 0.4);
}

TEST(Drawn, EmptyShapesAreDrawn) {
  const Graph g = graph(R"(graph "g" (%x: f32[0, 3, 8, 8], %s: f32[]) -> (%y, %z) {
    %y = Relu(%x)
    %z = Relu(%s)
  })");
  for (const Drawn how : {Drawn::noise, Drawn::edges, Drawn::smooth}) EXPECT_TRUE(draw_inputs(g, {{0, 3, 8, 8}, {}}, how, 0).ok());
}

// Sizes without a range: a batch is 1, sides of images are large at first; those with one are taken at the optimum.
TEST(Drawn, SizesNobodyGaveAreThoseOfImages) {
  Graph g = graph(R"(graph "g" (%x: f32[batch, 3, h, w]) -> (%y) {
    %y = Relu(%x)
  })");
  auto open = apply_shapes(g, {});
  ASSERT_TRUE(open.ok()) << open.status().to_string();
  const auto all = shapes_to_ask(g, (*open)[0]);
  ASSERT_GE(all.size(), 2u);
  EXPECT_EQ(all[0], (std::vector<Shape>{{1, 3, 224, 224}}));
  EXPECT_EQ(all.back(), (std::vector<Shape>{{1, 3, 1, 1}}));
}

}  // namespace
}  // namespace tenon
