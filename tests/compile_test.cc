// From a graph to an engine that runs: the same bytes each time, profiles, fallbacks with reasons, golden data.
#include "compiler/compile.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/mapped_file.h"
#include "compiler/report.h"
#include "engine/engine_file.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "runtime/engine.h"

namespace tenon {
namespace {

const char* const kNet = R"(graph "net" (%x: f32[batch, 8]) -> (%y) {
  const %w: f32[8, 16] = random 1
  const %b: f32[16] = random 2
  %m = MatMul(%x, %w) "mm"
  %a = Add(%m, %b) "add"
  %r = Relu(%a) "relu"
  %y = Softmax(%r) "soft"
})";

Result<BuildResult> build(const char* text, BuildOptions options = {}) {
  auto g = TRY(parse(text));
  return compile_model({std::move(g), 21, "test"}, "hash", options);
}

BuildOptions with_shapes(const std::vector<const char*>& texts) {
  BuildOptions o;
  for (const char* t : texts) o.shapes.push_back(*parse_shape_spec(t));
  return o;
}

// Runs the engine and the interpreter, and compares.
void expect_right(const BuildResult& built, const char* text, const std::vector<Tensor>& inputs) {
  auto engine = LoadedEngine::load_bytes(built.bytes, nullptr);
  ASSERT_TRUE(engine.ok()) << engine.status().to_string();
  auto context = Context::create(*engine, {2});
  ASSERT_TRUE(context.ok());
  std::vector<Tensor> got;
  Status s = (*context)->run(inputs, got);
  ASSERT_TRUE(s.ok()) << s.to_string();
  auto want = interpret(*parse(text), inputs);
  ASSERT_TRUE(want.ok());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].shape(), (*want)[i].shape());
    for (int64_t k = 0; k < got[i].size(); ++k) ASSERT_NEAR(got[i].at(k), (*want)[i].at(k), 1e-5) << "output " << i;
  }
}

Tensor ramp(Shape shape) {
  Tensor t = Tensor::make(DType::f32, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.set(i, double(i % 7) - 3);
  return t;
}

// What is added to a product may be a row, twice, or have its shape, though only one dimension is not 1.
TEST(Compile, RowsAndResidualsBehindAProduct) {
  const char* rows = R"(graph "rows" (%x: f32[1, 1, 8], %h: f32[1, 6], %s: f32[1]) -> (%y) {
  const %w: f32[8, 6] = random 1
  const %b: f32[6] = random 2
  %m = MatMul(%x, %w)
  %a = Add(%m, %b)
  %c = Add(%h, %a)
  %d = Add(%c, %s)
  %y = Tanh(%d)
})";
  const char* column = R"(graph "column" (%x: f32[batch, 8], %r: f32[batch, 1]) -> (%y) {
  const %w: f32[8, 1] = random 1
  %m = MatMul(%x, %w)
  %y = Add(%m, %r)
})";
  auto a = build(rows), b = build(column);
  ASSERT_TRUE(a.ok() && b.ok());
  expect_right(*a, rows, {ramp({1, 1, 8}), ramp({1, 6}), ramp({1})});
  expect_right(*b, column, {ramp({3, 8}), ramp({3, 1})});
}

TEST(Compile, ABiasOfOneChannelHasAKernel) {
  const char* text = R"(graph "mask" (%x: f32[batch, 3, 6, 6]) -> (%y, %z) {
  const %w: f32[1, 3, 3, 3] = random 1
  const %b: f32[1] = random 2
  const %v: f32[1, 16] = random 3
  %c = Conv(%x, %w, %b)
  %y = Sigmoid(%c)
  %f = Flatten(%y)
  %g = Gemm(%f, %v, %b) {transB=1}
  %z = Relu(%g)
})";
  auto built = build(text);
  ASSERT_TRUE(built.ok()) << built.status().to_string();
  EXPECT_TRUE(list_fallbacks(built->content).empty());
  expect_right(*built, text, {ramp({2, 3, 6, 6})});
}

TEST(Compile, TheSameModelGivesTheSameBytes) {
  for (const char* device : {"cpu", "reference"}) {
    BuildOptions o = with_shapes({"x:1..2..9x8"});
    o.device = device;
    auto a = build(kNet, o), b = build(kNet, o);
    ASSERT_TRUE(a.ok()) << a.status().to_string();
    EXPECT_EQ(a->bytes, b->bytes);
    for (int64_t n : {1, 4, 9}) expect_right(*a, kNet, {ramp({n, 8})});
  }
}

TEST(Compile, TwoProfiles) {
  auto b = build(kNet, with_shapes({"x:1x8", "x:4..8x8"}));
  ASSERT_TRUE(b.ok()) << b.status().to_string();
  EXPECT_EQ(b->content.profiles.size(), 2u);
  for (int64_t n : {1, 4, 8}) expect_right(*b, kNet, {ramp({n, 8})});
  auto engine = LoadedEngine::load_bytes(b->bytes, nullptr);
  auto context = Context::create(*engine, {1});
  for (int64_t n : {2, 3, 9, 0}) {
    std::vector<Tensor> out;
    Status s = (*context)->run({ramp({n, 8})}, out);
    EXPECT_EQ(s.code(), Code::invalid_argument) << n;
    EXPECT_NE(s.remedy().find("--shape"), std::string::npos);
  }
}

TEST(Compile, NodesOfOneKernelKeepTheirNames) {
  auto b = build(kNet);
  ASSERT_TRUE(b.ok());
  EXPECT_LT(b->content.graph.nodes.size(), 4u);
  std::string names;
  for (const Node& n : b->content.graph.nodes)
    for (const std::string& o : n.origins) names += o + " ";
  for (const char* n : {"mm", "add", "relu", "soft"}) EXPECT_NE(names.find(n), std::string::npos) << names;
  EXPECT_TRUE(list_fallbacks(b->content).empty());
}

TEST(Compile, FallbacksAreListedWithTheReason) {
  const char* text = R"(graph "g" (%x: f32[n], %d: f64[2, 2]) -> (%z, %e) {
    %z = Unique(%x) "nz"
    %e = Det(%d) "det"
  })";
  auto b = build(text);
  ASSERT_TRUE(b.ok()) << b.status().to_string();
  auto list = list_fallbacks(b->content);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_NE(list[0].find("Unique 'nz': its result's size depends on data"), std::string::npos) << list[0];
  EXPECT_NE(list[1].find("Det 'det': "), std::string::npos) << list[1];
  EXPECT_GT(list[1].size(), std::string("Det 'det': ").size());
}

TEST(Compile, GoldenDataIsStoredAndRight) {
  auto b = build(kNet, with_shapes({"x:1..3..5x8"}));
  ASSERT_TRUE(b.ok());
  const GoldenRecord& g = b->content.golden;
  EXPECT_EQ(g.source, "reference");
  ASSERT_EQ(g.inputs.size(), 1u);
  EXPECT_EQ(g.inputs[0].shape(), (Shape{3, 8}));
  expect_right(*b, kNet, g.inputs);
  BuildOptions none;
  none.golden = false;
  EXPECT_TRUE(build(kNet, none)->content.golden.inputs.empty());
}

TEST(Compile, ProgressCanStopIt) {
  auto g = parse(kNet);
  std::vector<std::string> stages;
  auto all = compile_model({*g, 21, ""}, "h", {}, [&](const char* stage, int64_t, int64_t) { return stages.push_back(stage), true; });
  ASSERT_TRUE(all.ok());
  std::set<std::string> distinct(stages.begin(), stages.end());
  for (const std::string& stop : distinct) {
    auto r = compile_model({*g, 21, ""}, "h", {}, [&](const char* stage, int64_t, int64_t) { return stage != stop; });
    ASSERT_FALSE(r.ok()) << stop;
    EXPECT_EQ(r.status().code(), Code::cancelled) << stop;
  }
}

TEST(Compile, WrongOptionsAreRefused) {
  BuildOptions device, precision;
  device.device = "abacus";
  auto r = build(kNet, device);
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.status().to_string().find("cpu"), std::string::npos) << r.status().to_string();
  precision.precision = "fp3";
  EXPECT_FALSE(build(kNet, precision).ok());
  EXPECT_EQ(build(kNet, with_shapes({"x:1x9"})).status().code(), Code::invalid_argument);
}

TEST(Compile, WithoutPassesTheAnswersAreTheSame) {
  const char* text = R"(graph "g" (%x: f32[n, 8], %c: bool[]) -> (%y, %k) {
    const %s: i64[2] = [-1, 4]
    const %two: f32[] = 2.0
    %r = Reshape(%x, %s)
    %t = Transpose(%r) {perm=[1, 0]}
    %a = Mul(%t, %two)
    %b = Add(%a, %two)
    %y = If(%c, %b) {captures=1,
      then_branch=graph "t" (%p: f32[4, m]) -> (%q) { %q = Sigmoid(%p) },
      else_branch=graph "e" (%p: f32[4, m]) -> (%q) { %o = Neg(%p) %q = Neg(%o) }}
    %k = Shape(%t)
  })";
  for (const char* device : {"cpu", "reference"}) {
    BuildOptions o;
    o.device = device;
    auto b = build(text, o);
    ASSERT_TRUE(b.ok()) << b.status().to_string();
    for (int64_t n : {1, 3})
      for (int c : {0, 1}) expect_right(*b, text, {ramp({n, 8}), Tensor::scalar_int(c, DType::boolean)});
  }
}

// ---- tuning ----------------------------------------------------------------------------------------------------------

// Whole numbers, so that sums are exact in any order.
const char* const kConvs = R"(graph "convs" (%x: f32[n, 5, 9, 10]) -> (%y) {
  const %wr: f32[12, 5, 3, 3] = random 1
  const %vr: f32[7, 12, 3, 3] = random 2
  %w = Round(%wr)
  %v = Round(%vr)
  %a = Conv(%x, %w) {pads=[1, 1, 1, 1]} "first"
  %b = Relu(%a)
  %y = Conv(%b, %v) {strides=[2, 2]} "second"
})";

BuildOptions tuned(const std::string& database) {
  BuildOptions o = with_shapes({"x:1..2..3x5x9x10"});
  o.tuning.effort = 1;
  o.tuning.database = database;
  return o;
}

std::string fresh_database() {
  const std::string path = ::testing::TempDir() + "tenon_compile_" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".txt";
  std::filesystem::remove(path);
  return path;
}

TEST(Compile, TunedKernelsComeWithTheirEvidence) {
  const BuildOptions o = tuned(fresh_database());
  auto first = build(kConvs, o), second = build(kConvs, o);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status().to_string();
  EXPECT_EQ(first->tuning.choices, 2);
  EXPECT_EQ(first->tuning.measured, 2);
  EXPECT_EQ(second->tuning.known, 2);
  EXPECT_EQ(first->bytes, second->bytes);
  auto read = read_engine(first->bytes, nullptr);
  ASSERT_TRUE(read.ok());
  int compared = 0;
  for (const StepPlan& s : read->steps) {
    int chosen = 0;
    for (const Tactic& t : s.tactics) {
      EXPECT_GT(t.seconds, 0) << t.variant;
      EXPECT_EQ(t.source, Tactic::measured);
      EXPECT_EQ(t.chosen, t.variant == s.image.kernel);
      chosen += t.chosen;
    }
    EXPECT_EQ(chosen, s.tactics.empty() ? 0 : 1);
    compared += int(s.tactics.size());
  }
  EXPECT_EQ(compared, 4);
  EXPECT_NE(first->content.report.find("\"tactics\""), std::string::npos);
  EXPECT_TRUE(build(kConvs, with_shapes({"x:1..2..3x5x9x10"}))->tuning.database.empty());
}

// Whatever the database says is the fastest, the answers are right.
TEST(Compile, EachVariantIsRight) {
  const BuildOptions o = tuned(fresh_database());
  ASSERT_TRUE(build(kConvs, o).ok());
  const auto file = MappedFile::open(o.tuning.database);
  ASSERT_TRUE(file.ok());
  const std::string measured((*file)->bytes().begin(), (*file)->bytes().end());
  for (const char* wanted : {"conv.folded", "conv.igemm"}) {
    std::string text;
    for (const std::string& line : split(measured, '\n')) {
      std::vector<std::string> f = split(line, '\t');
      if (f.size() == 7) f[5] = starts_with(f[4], wanted) ? "1e-09" : "1.0", f[6] = "0.0";
      text += join(f, "\t") + "\n";
    }
    ASSERT_TRUE(write_file_atomically(o.tuning.database, text).ok());
    auto b = build(kConvs, o);
    ASSERT_TRUE(b.ok());
    int so = 0;
    for (const StepPlan& s : b->content.steps) so += starts_with(s.image.kernel, wanted);
    EXPECT_EQ(so, 2) << wanted;
    for (int64_t n : {1, 3}) expect_right(*b, kConvs, {ramp({n, 5, 9, 10})});
  }
}

TEST(Compile, StoppedWhileItMeasures) {
  auto g = parse(kConvs);
  const BuildOptions o = tuned(fresh_database());
  auto r = compile_model({*g, 21, ""}, "h", o, [](const char* stage, int64_t done, int64_t) { return std::string_view(stage) != "tune" || done == 0; });
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.status().code(), Code::cancelled);
  EXPECT_GE(build(kConvs, o)->tuning.known, 1);
}

}  // namespace
}  // namespace tenon
