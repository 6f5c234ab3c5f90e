// Operators that run out of memory, while shapes are inferred and while they run: a status that names the node.
#include <gtest/gtest.h>

#include "backend/compiler.h"
#include "ir/infer.h"
#include "ir/interpreter.h"
#include "runtime/executor.h"

namespace tenon {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kUnderAddressSanitizer = true;
#elif defined(__has_feature)
constexpr bool kUnderAddressSanitizer = __has_feature(address_sanitizer);
#else
constexpr bool kUnderAddressSanitizer = false;
#endif

// What hostile sizes make the standard library throw: bad_alloc, and length_error beyond what a vector can be.
Status hoard(size_t n) {
  const std::vector<double> v(n);
  return invalid_argument("got memory for ", v.size());
}
volatile size_t wanted = 0;

Status same_as_input(InferArgs& a) {
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

const Op kHoardsInRun{.name = "Hoard", .inputs = {{"X"}}, .infer = same_as_input, .reference = [](RefArgs&) { return hoard(wanted); }};
const Op kHoardsInInference{.name = "Hoard", .inputs = {{"X"}}, .infer = [](InferArgs&) { return hoard(wanted); }, .reference = [](RefArgs&) { return Status(); }};

Graph graph_of(const Op& op) {
  Graph g;
  const ValueInfo info{DType::f32, true, {Dim(2)}, Tensor(), std::nullopt};
  const ValueId x = g.add_value("x", info), y = g.add_value("y", info);
  g.inputs = {x};
  g.add_node(&op, "greedy", {}, {x}, {y});
  g.add_output("y", y);
  return g;
}

void expect_named(const Status& s) {
  EXPECT_EQ(s.code(), Code::out_of_memory) << s.to_string();
  EXPECT_EQ(s.message().find("Hoard 'greedy': "), 0u) << s.message();
  EXPECT_FALSE(s.remedy().empty());
}

TEST(Memory, ANodeThatFindsNoneIsNamed) {
  if (kUnderAddressSanitizer) GTEST_SKIP() << "the address sanitizer ends a program that asks for this much";
  const std::vector<Tensor> x = {Tensor::make(DType::f32, {2})};
  for (size_t n : {size_t(1) << 59, SIZE_MAX / 4}) {
    wanted = n;
    for (const Op* op : {&kHoardsInRun, &kHoardsInInference}) {
      const Graph g = graph_of(*op);
      expect_named(interpret(g, x).status());
      auto device = open_device("reference", 0);
      ASSERT_TRUE(device.ok());
      auto stream = (*device)->create_stream(2);
      ASSERT_TRUE(stream.ok());
      StepPlan step;
      step.image.backend = step.image.kernel = "reference";
      auto plan = load_plan(g, {step}, {{"reference", *device}});
      ASSERT_TRUE(plan.ok()) << plan.status().to_string();
      Executor executor(**plan, **stream, **stream);
      std::vector<Tensor> y;
      expect_named(executor.run(x, y));
    }
    Graph g = graph_of(kHoardsInInference);
    expect_named(infer_graph(g));
  }
}

}  // namespace
}  // namespace tenon
