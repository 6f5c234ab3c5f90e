// Whole engines for cuda, built and run without a GPU: compiling, loading, copies between the memories, recordings.
#include <gtest/gtest.h>

#include <filesystem>

#include "compiler/compile.h"
#include "cuda_emulator/emulated_driver.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"
#include "ir/text.h"
#include "runtime/engine.h"

namespace tenon::emulator {
namespace {

class CudaEngine : public ::testing::Test {
 protected:
  void SetUp() override {
    install();
    buffers_ = driver_counts().buffers;
  }
  void TearDown() override {
    context_.reset();
    EXPECT_EQ(driver_counts().buffers, buffers_) << "device memory is lost";
  }
  void build(std::string_view text) {
    graph_ = parse(text).value();
    BuildOptions options;
    options.device = "cuda";  // the target is this machine's GPU, which is the emulated one
    options.golden = false;
    auto built = compile_model({graph_, 21, ""}, "0", options);
    ASSERT_TRUE(built.ok()) << built.status().to_string();
    EXPECT_EQ(built->content.target, "cuda:sm_90a");
    auto engine = LoadedEngine::load_bytes(built->bytes, nullptr);
    ASSERT_TRUE(engine.ok()) << engine.status().to_string();
    EXPECT_NE((*engine)->device().description().find("emulated sm_90a"), std::string::npos);
    auto context = Context::create(*engine, {1});
    ASSERT_TRUE(context.ok()) << context.status().to_string();
    context_ = std::move(*context);
  }
  // Runs and compares with the interpreter; the arithmetic is exact.
  void check(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs) {
    const Status s = context_->run(inputs, outputs);
    ASSERT_TRUE(s.ok()) << s.to_string();
    auto want = interpret(graph_, inputs);
    ASSERT_TRUE(want.ok());
    for (size_t i = 0; i < outputs.size(); ++i) EXPECT_TRUE(outputs[i].identical((*want)[i])) << "output " << i;
  }
  Graph graph_;
  std::unique_ptr<Context> context_;
  size_t buffers_ = 0;
};

TEST_F(CudaEngine, RecordsAndReplays) {
  // The Transpose keeps the nodes around it from being fused into one.
  build(R"(graph "g" (%x: f32[n, 6]) -> (%y) {
    %a = Relu(%x)
    %c = Transpose(%a) {perm=[1, 0]}
    %y = Neg(%c)
  })");
  const Tensor x = random_input(DType::f32, {4, 6}, 1).value(), other = random_input(DType::f32, {9, 6}, 2).value();
  std::vector<Tensor> y;
  for (int run = 0; run < 4; ++run) check({x}, y);
  std::vector<Tensor> y2;
  check({other}, y2);
  check({x}, y);
}

TEST_F(CudaEngine, ASingleKernelIsReplayed) {
  build(R"(graph "g" (%x: f32[5, 7], %b: f32[7]) -> (%y) { %y = Add(%x, %b) })");
  const std::vector<Tensor> in = {random_input(DType::f32, {5, 7}, 1).value(), random_input(DType::f32, {7}, 2).value()};
  const int64_t replays = driver_counts().graph_launches, launches = driver_counts().launches;
  std::vector<Tensor> y;
  for (int run = 0; run < 4; ++run) check(in, y);
  EXPECT_EQ(driver_counts().launches - launches, 4);
  EXPECT_GE(driver_counts().graph_launches - replays, 2);
}

TEST_F(CudaEngine, FallsBackToTheHost) {
  // NonZero's size is decided by data: the host's, between two steps of the device.
  build(R"(graph "g" (%x: f32[8]) -> (%y) {
    %a = Relu(%x)
    %n = NonZero(%a)
    %f = Cast(%n) {to=1}
    %y = Neg(%f)
  })");
  std::vector<Tensor> y;
  check({Tensor::of_floats(std::vector<double>{1, -1, 2, 0, -5, 3, 0, 1})}, y);
  EXPECT_EQ(y[0].shape(), (Shape{1, 4}));
}

TEST_F(CudaEngine, KernelsAreMeasured) {
  graph_ = parse(R"(graph "g" (%x: f32[n, 24]) -> (%y) {
    const %w: f32[24, 20] = random 1
    %m = MatMul(%x, %w)
    %y = Relu(%m)
  })").value();
  BuildOptions options;
  options.device = "cuda";
  options.golden = false;
  options.shapes = {*parse_shape_spec("x:1..3..9x24")};
  options.tuning.effort = 1;
  options.tuning.database = ::testing::TempDir() + "tenon_emulated_tuning.txt";
  std::filesystem::remove(options.tuning.database);
  auto built = compile_model({graph_, 21, ""}, "0", options), again = compile_model({graph_, 21, ""}, "0", options);
  ASSERT_TRUE(built.ok() && again.ok()) << built.status().to_string();
  EXPECT_EQ(built->tuning.measured, 1);
  EXPECT_EQ(again->tuning.known, 1);
  EXPECT_EQ(built->bytes, again->bytes);
  int compared = 0;
  for (const StepPlan& s : built->content.steps)
    for (const Tactic& t : s.tactics) {
      EXPECT_TRUE(t.seconds > 0 && t.estimate > 0 && t.failure.empty()) << t.variant << t.failure;
      ++compared;
    }
  EXPECT_EQ(compared, 2);
}

}  // namespace
}  // namespace tenon::emulator
