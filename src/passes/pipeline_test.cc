#include "passes/pass_test.h"

namespace tenon {
namespace {

constexpr const char* kNet = R"(
graph "net" (%x: f32[batch, 3, 16, 16]) -> (%y) {
  const %w: f32[8, 3, 3, 3] = random 1
  const %s: f32[8] = random 2
  const %b: f32[8] = random 3
  const %m: f32[8] = random 4
  const %v: f32[8] = splat 0.5
  const %f: f32[8, 10] = random 5
  const %fb: f32[10] = random 6
  const %axis: i64[1] = [0]
  const %i: i64[] = 0
  const %rest: i64[1] = [-1]
  %c = Conv(%x, %w) {pads=[1, 1, 1, 1]} "conv"
  %n = BatchNormalization(%c, %s, %b, %m, %v) "bn"
  %r = Relu(%n) "relu"
  %p = GlobalAveragePool(%r) "pool"
  %sh = Shape(%p)
  %g = Gather(%sh, %i)
  %u = Unsqueeze(%g, %axis)
  %t = Concat(%u, %rest) {axis=0}
  %h = Reshape(%p, %t) "flatten"
  %l = MatMul(%h, %f) "fc"
  %o = Add(%l, %fb) "fc bias"
  %y = Softmax(%o) "softmax"
})";

TEST(Pipeline, ASmallNetwork) {
  const Graph g = parse_or_die(kNet);
  PassReport report;
  std::vector<std::string> dumped;
  PassOptions options;
  options.dump = [&](const std::string& pass, const Graph&) { dumped.push_back(pass); };
  auto h = optimize(g, options, &report);
  ASSERT_TRUE(h.ok()) << h.status().to_string();
  EXPECT_EQ(ops_of(*h), "Transpose Fused(Conv Relu) ReduceMean Reshape Fused(MatMul Add) Softmax");
  EXPECT_EQ(report.passes.size(), dumped.size());
  EXPECT_EQ(report.passes.front().nodes_before, g.nodes.size());
  expect_same_results(g, *h);
  auto again = optimize(g);
  EXPECT_EQ(print(*again), print(*h)) << "not deterministic";
}

TEST(Pipeline, SkipsByName) {
  PassOptions options;
  options.skip = {"fuse_anchor", "channels_last"};
  auto h = optimize(parse_or_die(kNet), options);
  ASSERT_TRUE(h.ok()) << h.status().to_string();
  EXPECT_EQ(ops_of(*h), "Conv Relu GlobalAveragePool Reshape MatMul Add Softmax");
  options.skip = {"fuse_anker"};
  EXPECT_EQ(optimize(parse_or_die(kNet), options).status().code(), Code::invalid_argument);
}

// Casts at the ends, as apply_io_types puts them there, are gone where arithmetic has their type.
TEST(Pipeline, LowInputsAndOutputsAreTakenAsTheyAre) {
  constexpr const char* kHalf = R"(graph "g" (%h: f16[2, 4]) -> (%y) {
    const %w: f32[4, 8] = random 1
    %x = Cast(%h) {to=1}
    %p = MatMul(%x, %w)
    %y = Cast(%p) {to=10}
  })";
  PassOptions options;
  options.precision = "fp16";
  auto h = optimize(parse_or_die(kHalf), options);
  ASSERT_TRUE(h.ok()) << h.status().to_string();
  EXPECT_EQ(ops_of(*h), "MatMul");
  EXPECT_EQ(h->info(h->outputs[0]).dtype, DType::f16);
  options.precision = "bf16";
  h = optimize(parse_or_die(kHalf), options);
  ASSERT_TRUE(h.ok()) << h.status().to_string();
  EXPECT_EQ(ops_of(*h), "Cast Fused(MatMul Cast)");
}

TEST(Pipeline, EveryPassAloneKeepsTheNumbers) {
  for (const Pass& p : all_passes()) {
    SCOPED_TRACE(p.name);
    expect_same_results(p.name, kNet);
  }
}

// Outputs at the end that nobody reads go, but for those that say how many parts there are.
TEST(Pipeline, DeadOutputs) {
  const auto outputs = [](const std::string& nodes) {
    return run_named("remove_dead", parse_or_die(cat("graph \"g\" (%x: f32[6, 4]) -> (%y) {\n const %k: i64[1] = [2]\n", nodes, "\n}"))).nodes[0].outputs.size();
  };
  EXPECT_EQ(outputs("%a, %b, %c = Split(%x) {axis=0, num_outputs=3} %y = Relu(%a)"), 3u);
  EXPECT_EQ(outputs("%v, %i = TopK(%x, %k) {axis=0} %y = Relu(%v)"), 1u);
}

}  // namespace
}  // namespace tenon
