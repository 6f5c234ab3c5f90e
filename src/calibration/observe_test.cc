#include "calibration/observe.h"

#include <gtest/gtest.h>

#include "calibration/work.h"
#include "ir/infer.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"
#include "ir/text.h"

namespace tenon {
namespace {

Graph graph(std::string_view text) {
  Graph g = parse(text).value();
  EXPECT_TRUE(infer_graph(g).ok());
  return g;
}

// Convolutions and products; NonZero, which sizes its own result; a symbolic size.
constexpr const char* kMixed = R"(graph "g" (%x: f32[n, 3, 9, 7], %ids: i64[n]) -> (%y, %z, %p) {
  const %w: f32[5, 3, 3, 3] = random 1
  const %m: f32[7, 4] = random 2
  %c = Conv(%x, %w) {pads=[1, 1, 1, 1]}
  %r = Relu(%c)
  %y = MatMul(%r, %m)
  %z = NonZero(%r)
  %p = MaxPool(%r) {kernel_shape=[2, 2]}
})";

TEST(Observe, AgreesWithTheInterpreter) {
  const Graph g = graph(kMixed);
  std::vector<std::vector<Tensor>> samples;
  for (uint64_t seed : {1, 2}) samples.push_back({random_input(DType::f32, {2, 3, 9, 7}, seed).value(), random_input(DType::i64, {2}, seed).value()});
  const auto seen = observe(g, samples, {.threads = 1});
  ASSERT_TRUE(seen.ok()) << seen.status().to_string();
  ValueRanges want;
  for (const auto& sample : samples) {
    want["x"].add(sample[0]);
    InterpretOptions options;
    options.observe = [&](const Node&, ValueId v, const Tensor& t) {
      if (is_float(t.dtype())) want[g.value(v).name].add(t);
    };
    ASSERT_TRUE(interpret(g, sample, options).ok());
  }
  ASSERT_EQ(seen->size(), want.size());
  for (const auto& [name, w] : want) {
    ASSERT_TRUE(seen->contains(name)) << name;
    const ValueRange& s = seen->at(name);
    EXPECT_NEAR(s.low, w.low, 1e-4) << name;
    EXPECT_NEAR(s.high, w.high, 1e-4) << name;
    EXPECT_EQ(s.count, w.count) << name;
  }
}

TEST(Observe, LeavesOutWhatTakesLong) {
  const Graph g = graph(kMixed);
  const auto sample = [](int64_t n) { return std::vector<Tensor>{random_input(DType::f32, {n, 3, 9, 7}, 1).value(), random_input(DType::i64, {n}, 1).value()}; };
  const std::vector<std::vector<Tensor>> both{sample(1), sample(50)};
  const auto one = observe(g, std::span(both).first(1));
  const auto less = observe(g, both, {.threads = 1, .most_work = 1e5});
  ASSERT_TRUE(one.ok() && less.ok());
  EXPECT_EQ(one->at("c").count, less->at("c").count);
  EXPECT_EQ(observe(g, both, {.threads = 1, .most_work = 1}).status().code(), Code::unavailable);
}

TEST(Observe, NamesTheNodeThatFails) {
  const Graph g = graph(R"(graph "g" (%x: f32[2, n]) -> (%y) {
    const %s: i64[2] = [3, 5]
    %y = Reshape(%x, %s) "view"
  })");
  const std::vector<std::vector<Tensor>> samples{{random_input(DType::f32, {2, 4}, 1).value()}};
  const auto seen = observe(g, samples);
  ASSERT_FALSE(seen.ok());
  EXPECT_NE(seen.status().message().find("view"), std::string::npos);
}

TEST(Work, CountsMultiplications) {
  const Graph g = graph(kMixed);
  const std::vector<Shape> shapes{{2, 3, 9, 7}, {2}};
  const auto symbols = input_symbols(g, shapes);
  EXPECT_EQ(symbols.at("n"), 2);
  EXPECT_EQ(node_work(g, g.nodes[0], symbols, 1), 2 * 5 * 9 * 7 * 27.0);  // Conv
  EXPECT_EQ(node_work(g, g.nodes[1], symbols, 1), 2 * 5 * 9 * 7.0);       // Relu
  EXPECT_EQ(node_work(g, g.nodes[2], symbols, 1), 2 * 5 * 9 * 4 * 7.0);   // MatMul
}

}  // namespace
}  // namespace tenon
