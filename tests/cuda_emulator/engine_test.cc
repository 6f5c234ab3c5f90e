// Whole engines for cuda, built and run without a GPU: compiling, loading, copies between the memories, recordings.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "backend/cuda/recipe.h"
#include "compiler/compile.h"
#include "compiler/report.h"
#include "cuda_emulator/emulated_driver.h"
#include "engine/engine_file.h"
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

TEST_F(CudaEngine, PartsOfAConcatAreWrittenInPlace) {
  build(R"(graph "g" (%x: f32[b, n, 8]) -> (%y, %z) {
    const %k: f32[1, 8] = random 1
    const %token: f32[1, 1, 8] = random 2
    %a = Softmax(%x)
    %c = Concat(%token, %a) {axis=1}
    %t = Transpose(%c) {perm=[1, 0, 2]}
    %y, %z = Split(%t) {axis=0, num_outputs=2}
  })");
  const auto launches = [&](int64_t n) {
    const Tensor x = random_input(DType::f32, {1, n, 8}, 1).value();
    const int64_t before = driver_counts().launches;
    std::vector<Tensor> y;
    const Status s = context_->run({x}, y);
    EXPECT_TRUE(s.ok()) << s.to_string();
    auto want = interpret(graph_, {x}).value();
    for (size_t j = 0; j < y.size(); ++j)
      for (int64_t i = 0; i < y[j].size(); ++i) EXPECT_NEAR(y[j].at(i), want[j].at(i), 1e-6) << j;
    return driver_counts().launches - before;
  };
  for (int64_t n : {5, 1, 131}) EXPECT_EQ(launches(n), 1) << n;  // Softmax: with b = 1 the Transpose is a view
}

// Two convolutions, one of them by single channels, and a product, whose rows lie side by side; nothing is put together afterwards.
TEST_F(CudaEngine, RowsOfAConcatAreWrittenApart) {
  build(R"(graph "g" (%x: f32[b, h, 6, 8]) -> (%y) {
    const %w1: f32[12, 8, 1, 1] = random 1
    const %w2: f32[8, 1, 3, 3] = random 2
    const %w3: f32[8, 20] = random 3
    %a = Conv(%x, %w1) {channels_last=1}
    %r = Relu(%a)
    %d = Conv(%x, %w2) {channels_last=1, pads=[1, 1, 1, 1], group=8}
    %m = MatMul(%x, %w3)
    %y = Concat(%r, %d, %m) {axis=3}
  })");
  for (const auto& [b, h] : {std::pair<int64_t, int64_t>{2, 5}, {1, 1}, {3, 17}}) {
    const Tensor x = random_input(DType::f32, {b, h, 6, 8}, 1).value();
    const int64_t before = driver_counts().launches;
    std::vector<Tensor> y;
    const Status s = context_->run({x}, y);
    ASSERT_TRUE(s.ok()) << s.to_string();
    EXPECT_EQ(driver_counts().launches - before, 3) << b << " " << h;
    const Tensor want = interpret(graph_, {x}).value()[0];
    ASSERT_EQ(y[0].shape(), want.shape());
    for (int64_t i = 0; i < want.size(); ++i) ASSERT_NEAR(y[0].at(i), want.at(i), 1e-4) << i;
  }
}

// One part is read by others too, so that all are put together by a kernel, and none row by row.
TEST_F(CudaEngine, RowsOfAConcatThatOthersRead) {
  build(R"(graph "g" (%x: f32[b, 6, 8]) -> (%y, %z) {
    const %w1: f32[8, 12] = random 1
    const %w2: f32[8, 20] = random 2
    %a = MatMul(%x, %w1)
    %m = MatMul(%x, %w2)
    %c = Concat(%a, %m) {axis=2}
    %y = Softmax(%c)
    %z = Softmax(%a)
  })");
  const Tensor x = random_input(DType::f32, {7, 6, 8}, 1).value();
  std::vector<Tensor> y;
  const int64_t before = driver_counts().launches;
  ASSERT_TRUE(context_->run({x}, y).ok());
  EXPECT_EQ(driver_counts().launches - before, 5);
  const auto want = interpret(graph_, {x}).value();
  for (size_t j = 0; j < 2; ++j)
    for (int64_t i = 0; i < want[j].size(); ++i) ASSERT_NEAR(y[j].at(i), want[j].at(i), 1e-5) << j << " " << i;
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
  // Unique's size is decided by data, and it is the host's, between two steps of the device.
  build(R"(graph "g" (%x: f32[8]) -> (%y) {
    %a = Relu(%x)
    %n = Unique(%a)
    %f = Cast(%n) {to=7}
    %y = Neg(%f)
  })");
  std::vector<Tensor> y;
  check({Tensor::of_floats(std::vector<double>{1, -1, 2, 0, -5, 3, 0, 1})}, y);
  EXPECT_EQ(y[0].shape(), (Shape{4}));
}

// What is in front of the first size that the data decides is recorded, the kernels that count with it.
TEST_F(CudaEngine, CountsOnTheDevice) {
  build(R"(graph "g" (%x: f32[n]) -> (%y, %z) {
    const %one: f32[1] = [1.0]
    const %axis: i64[] = 0
    %b = CumSum(%x, %axis)
    %c = CumSum(%b, %axis)
    %d = CumSum(%c, %axis)
    %g = Greater(%x, %one)
    %n = NonZero(%g)
    %y = Neg(%n)
    %t = Transpose(%n)
    %z = GatherND(%d, %t)
  })");
  std::vector<Tensor> y;
  const int64_t replays = driver_counts().graph_launches;
  Tensor x = Tensor::make(DType::f32, {4});
  for (const std::vector<double>& values : {std::vector<double>{1, 3, 2, 0}, {2, 2, 2, 2}, {0, 0, 0, 0}, {1, 3, 2, 0}}) {
    for (int64_t i = 0; i < 4; ++i) x.set(i, values[size_t(i)]);
    y.clear();
    check({x}, y);
  }
  EXPECT_EQ(y[0].shape(), (Shape{1, 2}));
  EXPECT_EQ(y[1].shape(), (Shape{2}));
  EXPECT_GE(driver_counts().graph_launches - replays, 2);
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

TEST_F(CudaEngine, Fp16KeepsWhatIsTooLarge) {
  // The middle is a million large, the ends are ordinary.
  graph_ = parse(R"(graph "g" (%x: f32[4, 8]) -> (%y) {
    const %w: f32[8, 8] = random 1
    const %up: f32[] = 1000.0
    const %down: f32[] = 1e-06
    %a = MatMul(%x, %w) "a"
    %b = Mul(%a, %up) "b"
    %c = Mul(%b, %up) "c"
    %d = Transpose(%c) {perm=[1, 0]} "d"
    %e = Mul(%d, %down) "e"
    %y = MatMul(%e, %a) "y"
  })").value();
  BuildOptions options;
  options.device = "cuda";
  options.precision = "fp16";
  auto built = compile_model({graph_, 21, ""}, "0", options);
  ASSERT_TRUE(built.ok()) << built.status().to_string();
  const KeptSummary kept = summarize_kept(built->content.report);
  EXPECT_EQ(kept.observed, "golden inputs at the profile's optimum");
  std::vector<std::string> values;
  for (const KeptFloat& k : kept.nodes)
    if (k.rule == "range") values.push_back(k.value);
  EXPECT_EQ(values, (std::vector<std::string>{"c", "d", "d"}));
  ASSERT_EQ(kept.lines.size(), 1u);
  EXPECT_EQ(kept.lines[0].find("3 nodes, range: Mul 'c' (reached "), 0u) << kept.lines[0];
  auto engine = LoadedEngine::load_bytes(built->bytes, nullptr);
  ASSERT_TRUE(engine.ok()) << engine.status().to_string();
  context_ = std::move(Context::create(*engine, {1})).value();
  const Tensor x = random_input(DType::f32, {4, 8}, 7).value();
  std::vector<Tensor> y;
  const Status s = context_->run({x}, y);
  ASSERT_TRUE(s.ok()) << s.to_string();
  const Tensor want = interpret(graph_, {x}).value()[0];
  double largest = 0;
  for (int64_t i = 0; i < want.size(); ++i) largest = std::max(largest, std::abs(want.at(i)));
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(y[0].at(i), want.at(i), 5e-3 * largest) << i;
}

TEST_F(CudaEngine, MemoryIsWhatWasForetold) {
  // A weight that a kernel reads, two steps with a value between them, and an output that is brought to the host.
  const int64_t before = driver_counts().bytes;
  build(R"(graph "g" (%x: f32[n, 6]) -> (%y) {
    const %w: f32[6] = random 1
    %a = Add(%x, %w)
    %c = Transpose(%a) {perm=[1, 0]}
    %y = Exp(%c)
  })");
  int64_t code = 0;
  for (const StepPlan& s : context_->engine().content().steps)
    if (s.image.backend == "cuda") code += s.image.data[0].bytes();
  const int64_t loaded = context_->engine().memory().device;
  EXPECT_EQ(driver_counts().bytes - before, loaded - code);  // this driver keeps code elsewhere
  for (const int64_t n : {100, 5000}) {
    const MemoryUse use = context_->executor().memory_for({{n, 6}}, {false}).value();
    const Tensor x = random_input(DType::f32, {n, 6}, 1).value();
    std::vector<Tensor> y(1, Tensor::make(DType::f32, {6, n}));
    ASSERT_TRUE(context_->run({x}, y).ok());
    const MemoryUse after = context_->executor().memory_for({{n, 6}}, {false}).value();
    EXPECT_EQ(after.device, use.device);
    EXPECT_EQ(after.host, use.host);
    // Later arenas take the place of earlier ones, which the pool keeps.
    if (n > 100) continue;
    EXPECT_EQ(driver_counts().bytes - before, loaded - code + use.device);
  }
}

// An engine whose machine code writes far beside its output, as a damaged or forged one may: the fault names the node and
// ends the GPU for every engine of the process, until all are closed.
TEST_F(CudaEngine, AFaultEndsTheGpuUntilAllEnginesAreClosed) {
  struct Fatal {
    Fatal() { set_fatal_faults(true); }
    ~Fatal() { set_fatal_faults(false); }
  } fatal;
  const auto bytes_of = [](const char* text, bool forge) {
    BuildOptions options;
    options.device = "cuda";
    options.golden = false;
    auto built = compile_model({parse(text).value(), 21, ""}, "0", options).value();
    if (!forge) return built.bytes;
    for (StepPlan& step : built.content.steps) {
      if (step.image.backend != "cuda") continue;
      auto recipe = cuda::Recipe::parse(step.image.config).value();
      for (cuda::KernelLaunch& l : recipe.launches)
        for (cuda::Arg& a : l.args)
          if (a.kind == cuda::Arg::output) a.value = Dim(int64_t(1) << 30);
      step.image.config = recipe.to_text();
    }
    return serialize_engine(built.content).value();
  };
  const auto good = bytes_of(R"(graph "g" (%x: f32[n, 6]) -> (%y) { %y = Neg(%x) })", false);
  const auto forged = bytes_of(R"(graph "g" (%x: f32[n, 6]) -> (%y) { %y = Relu(%x) "guilty" })", true);
  const std::vector<Tensor> in = {random_input(DType::f32, {4, 6}, 1).value()}, larger = {random_input(DType::f32, {400, 6}, 1).value()};
  auto bystander = LoadedEngine::load_bytes(good, nullptr).value();
  auto beside = Context::create(bystander, {1}).value();
  std::vector<Tensor> y;
  ASSERT_TRUE(beside->run(in, y).ok());
  {
    auto engine = LoadedEngine::load_bytes(forged, nullptr).value();
    auto context = Context::create(engine, {1}).value();
    std::vector<Tensor> z;
    const Status fault = context->run(in, z);
    ASSERT_FALSE(fault.ok());
    EXPECT_EQ(fault.code(), Code::internal);  // exit code 1
    EXPECT_NE(fault.message().find("guilty"), std::string::npos) << fault.to_string();
    EXPECT_NE(fault.message().find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << fault.to_string();
    EXPECT_NE(fault.remedy().find("close every engine"), std::string::npos) << fault.to_string();
  }
  // Whoever comes later learns what happened, and what to do: an engine that is open, also at sizes that need new memory,
  // and one that is opened now.
  for (const auto& inputs : {in, larger}) {
    std::vector<Tensor> z;
    const Status s = beside->run(inputs, z);
    ASSERT_FALSE(s.ok());
    EXPECT_EQ(s.code(), Code::internal) << s.to_string();
    EXPECT_NE(s.message().find("earlier fault"), std::string::npos) << s.to_string();
    EXPECT_NE(s.message().find("guilty"), std::string::npos) << s.to_string();
  }
  auto next = LoadedEngine::load_bytes(good, nullptr);
  ASSERT_FALSE(next.ok());
  EXPECT_NE(next.status().message().find("guilty"), std::string::npos) << next.status().to_string();
  EXPECT_NE(next.status().remedy().find("close every engine"), std::string::npos) << next.status().to_string();
  y.clear(), beside.reset(), bystander.reset();
  auto again = LoadedEngine::load_bytes(good, nullptr);
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  auto context = Context::create(*again, {1}).value();
  EXPECT_TRUE(context->run(in, y).ok());
}

// Times of the steps are the device's, from marks between them; what is not the device's has the host's.
TEST_F(CudaEngine, StepsAreTimedWithoutWaiting) {
  build(R"(graph "g" (%x: f32[n, 6]) -> (%y, %f, %z) {
    %a = Relu(%x) "first"
    %c = Transpose(%a) {perm=[1, 0]}
    %y = Neg(%c)
    %z = NonZero(%c) "counts there"
    %n = Unique(%c) "counts here"
    %f = Cast(%n) {to=7}
  })");
  const std::vector<Tensor> in = {random_input(DType::f32, {4, 6}, 1).value()};
  std::vector<Tensor> y;
  for (int run = 0; run < 3; ++run) check(in, y);
  std::vector<StepTime> times;
  context_->executor().set_profile(&times);
  check(in, y);
  context_->executor().set_profile(nullptr);
  int on_device = 0, on_host = 0;
  for (const StepTime& t : times) {
    EXPECT_GE(t.seconds, 0);
    (t.on_device ? on_device : on_host)++;
    if (t.node && t.node->op->name == "Unique") {
      EXPECT_FALSE(t.on_device);
    }
    if (t.node && t.node->op->name == "NonZero") {
      EXPECT_TRUE(t.on_device);
      EXPECT_EQ(t.out, (std::vector<Operand>{{DType::i64, y[2].shape()}}));
    }
    if (!t.node || t.node->op->name != "Relu") continue;
    EXPECT_TRUE(t.on_device);
    EXPECT_EQ(t.in, (std::vector<Operand>{{DType::f32, {4, 6}}}));
    EXPECT_EQ(t.out, t.in);
  }
  EXPECT_GE(on_device, 4);  // with the copy of x
  EXPECT_GE(on_host, 1);
  EXPECT_EQ(times.back().node, nullptr);  // the outputs' way to the host
}

}  // namespace
}  // namespace tenon::emulator
