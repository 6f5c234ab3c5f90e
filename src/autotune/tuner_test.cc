#include "autotune/tuner.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "autotune/fake.h"
#include "base/mapped_file.h"
#include "engine/engine_file.h"
#include "ir/text.h"
#include "lowering/lower.h"

namespace tenon {
namespace {

using testing::FakeCompiler;
using testing::FakeDevice;
using testing::FakeMachine;

// Two nodes of one signature, one of another, one without a choice.
const char* const kNet = R"(graph "net" (%x: f32[n, 8]) -> (%y) {
  %a = Relu(%x) "a"
  %b = Relu(%a) "b"
  %c = Neg(%b) "c"
  %y = Abs(%c) "plain"
})";

class Tuner : public ::testing::Test {
 protected:
  Tuner() {
    profile_.dims["n"] = {1, 4, 16};
    machine_.variants = {{"fake.model", 3e-5}, {"fake.slow", 9e-5}, {"fake.fast", 1e-5}, {"fake.last", 5e-6}};
    options_.effort = 2;
    options_.database = ::testing::TempDir() + "tenon_tuner_" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".txt";
    options_.open = [this](const std::string&) -> Result<std::shared_ptr<Device>> {
      if (absent_) return make_status(Code::unavailable, "it is not here");
      return std::shared_ptr<Device>(std::make_shared<FakeDevice>(machine_));
    };
    std::filesystem::remove(options_.database);
  }

  Result<Lowered> build() {
    report_ = {};
    machine_.launches.clear();
    Compilers compilers;
    compilers.push_back(std::make_unique<FakeCompiler>(machine_));
    LowerOptions lowering;
    lowering.profile = &profile_;
    lowering.choose = [&](std::vector<KernelJob>& jobs) { return tune(jobs, options_, report_, watch_); };
    return lower(*parse(kNet), compilers, lowering);
  }
  // The variant of each step.
  std::string chosen() {
    auto lowered = build();
    if (!lowered.ok()) return lowered.status().to_string();
    steps_ = lowered->steps;
    std::vector<std::string> names;
    for (const StepPlan& s : steps_) names.push_back(s.image.kernel.substr(s.image.kernel.find('.') + 1));
    return join(names, " ");
  }
  std::vector<uint8_t> bytes() {
    auto lowered = build();
    EXPECT_TRUE(lowered.ok());
    EngineContent c;
    c.graph = std::move(lowered->graph);
    c.steps = std::move(lowered->steps);
    c.report = "{}";
    return *serialize_engine(c);
  }

  OptimizationProfile profile_;
  FakeMachine machine_;
  TuneOptions options_;
  TuneReport report_;
  TuneWatch watch_;
  std::vector<StepPlan> steps_;
  bool absent_ = false;
};

TEST_F(Tuner, TheFastestOfTheCandidatesIsTaken) {
  EXPECT_EQ(chosen(), "last last last model");
  EXPECT_EQ(report_.choices, 2);
  EXPECT_EQ(report_.measured, 2);
  const std::vector<Tactic>& t = steps_[0].tactics;
  ASSERT_EQ(t.size(), 4u);
  EXPECT_EQ(t[0].variant, "fake.model");
  EXPECT_NEAR(t[0].seconds, 3e-5, 1e-10);
  EXPECT_EQ(t[0].estimate, 1e-6);
  EXPECT_FALSE(t[0].chosen);
  EXPECT_TRUE(t[3].chosen);
  EXPECT_EQ(t[3].source, Tactic::measured);
  EXPECT_EQ(steps_[1].tactics.size(), 4u);  // it shares the measurement
  EXPECT_TRUE(steps_[3].tactics.empty());
}

TEST_F(Tuner, EffortIsTheNumberOfCandidates) {
  options_.effort = 1;
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(steps_[0].tactics.size(), 2u);
  // What the database knows counts at any effort.
  options_.effort = 3;
  EXPECT_EQ(chosen(), "last last last model");
  options_.effort = 1;
  EXPECT_EQ(chosen(), "last last last model");
  EXPECT_EQ(report_.known, 2);
}

TEST_F(Tuner, NothingIsMeasuredAtEffortZero) {
  options_.effort = 3;
  chosen();
  options_.effort = 0;
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_TRUE(machine_.launches.empty());
  ASSERT_EQ(steps_[0].tactics.size(), 4u);  // the model's estimates are evidence too
  EXPECT_EQ(steps_[0].tactics[0].source, Tactic::model);
  EXPECT_TRUE(steps_[0].tactics[0].chosen);
}

TEST_F(Tuner, WithTheDatabaseTheSameBytes) {
  const std::vector<uint8_t> first = bytes();
  // Now all would be measured otherwise.
  machine_.variants = {{"fake.model", 1e-6}, {"fake.slow", 2e-6}, {"fake.fast", 7e-5}, {"fake.last", 8e-5}};
  machine_.drift = 1e-7;
  EXPECT_EQ(bytes(), first);
  EXPECT_TRUE(machine_.launches.empty());
  EXPECT_EQ(report_.known, 2);
  EXPECT_EQ(bytes(), first);
  std::filesystem::remove(options_.database);
  EXPECT_NE(bytes(), first);
}

TEST_F(Tuner, ADeviceOfOtherWordsIsMeasuredAnew) {
  chosen();
  machine_.words = "another";
  machine_.variants[0].second = 1e-7;
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(report_.measured, 2);
}

TEST_F(Tuner, WithoutTimeTheModelDecides) {
  options_.budget = 0;
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(report_.over_budget, 2);
  EXPECT_TRUE(machine_.launches.empty());
  EXPECT_EQ(machine_.compiled, 4);
}

TEST_F(Tuner, SizesThatNobodyGaveAreNotGuessed) {
  profile_.dims["n"] = {0, 1, kUnbounded};
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(report_.unsized, 2);
}

TEST_F(Tuner, WhatFailsLosesAndSaysWhy) {
  machine_.variants[3].second = -1;
  machine_.broken = "fake.fast";
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(steps_[0].tactics[2].failure, "it does not compile");
  EXPECT_EQ(steps_[0].tactics[3].failure, "a fault");
  // It is remembered.
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(report_.known, 2);
  EXPECT_EQ(steps_[0].tactics[3].failure, "a fault");
}

TEST_F(Tuner, WhenTheDeviceDiesTheBuildGoesOn) {
  machine_.variants[1].second = -1;
  machine_.dies = true;
  EXPECT_EQ(chosen(), "model model model model");
  ASSERT_EQ(report_.complaints.size(), 1u);
  EXPECT_NE(report_.complaints[0].find("the device is gone"), std::string::npos);
  // What ran before is known, and only the kernel whose fault it was is marked.
  auto db = TuningDatabase::load(options_.database);
  ASSERT_TRUE(db.ok());
  EXPECT_EQ(db->size(), 2u);
  EXPECT_NE(db->to_text().find("fake.slow\tfailed\ta fault"), std::string::npos);
}

TEST_F(Tuner, AnAbsentDeviceLeavesTheDatabase) {
  chosen();
  absent_ = true;
  EXPECT_EQ(chosen(), "last last last model");
  EXPECT_EQ(report_.known, 2);
  options_.effort = kAutoEffort;
  EXPECT_EQ(chosen(), "model model model model");
  EXPECT_EQ(report_.effort, 0);
  absent_ = false;
  EXPECT_EQ(chosen(), "last last last model");
  EXPECT_EQ(report_.effort, 2);
}

TEST_F(Tuner, StoppingKeepsWhatWasMeasured) {
  watch_ = [](const TuneProgress& p) { return p.done == 0; };
  EXPECT_EQ(build().status().code(), Code::cancelled);
  watch_ = {};
  EXPECT_EQ(chosen(), "last last last model");
  EXPECT_GE(report_.known, 1);
}

TEST_F(Tuner, ProgressCountsKernels) {
  std::vector<int64_t> done;
  watch_ = [&](const TuneProgress& p) {
    EXPECT_EQ(p.total, 2);
    EXPECT_LE(p.seconds_left, options_.budget);
    done.push_back(p.done);
    return true;
  };
  chosen();
  ASSERT_FALSE(done.empty());
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), 2);
}

TEST_F(Tuner, ADamagedDatabaseThatWasNamedIsAnError) {
  ASSERT_TRUE(write_file_atomically(options_.database, "no database\n").ok());
  EXPECT_EQ(build().status().code(), Code::invalid_argument);
  options_.effort = 6;
  EXPECT_EQ(build().status().code(), Code::invalid_argument);
  options_.effort = 1;
  options_.budget = -1;
  EXPECT_EQ(build().status().code(), Code::invalid_argument);
}

TEST(ChooseTactic, TheModelsChoiceIsKeptUntilAnotherIsClearlyFaster) {
  const auto choose = [](std::vector<std::pair<double, double>> times) {
    std::vector<Tactic> t;
    for (const auto& [seconds, spread] : times) t.emplace_back().seconds = seconds, t.back().spread = spread;
    return choose_tactic(t);
  };
  EXPECT_EQ(choose({{0, 0}, {0, 0}}), 0u);
  EXPECT_EQ(choose({{100, 0}, {99.5, 0}}), 0u);
  EXPECT_EQ(choose({{100, 0}, {98, 0}}), 1u);
  EXPECT_EQ(choose({{100, 3}, {98, 0}}), 0u);
  EXPECT_EQ(choose({{100, 0}, {98, 3}}), 0u);
  EXPECT_EQ(choose({{100, 0}, {90, 1}, {90, 0}}), 1u);
  EXPECT_EQ(choose({{100, 60}, {91, 0}}), 0u);
  EXPECT_EQ(choose({{100, 60}, {89, 0}}), 1u);
  EXPECT_EQ(choose({{0, 0}, {90, 1}}), 1u);
  std::vector<Tactic> t(2);
  t[0].failure = "no";
  EXPECT_EQ(choose_tactic(t), 1u);
  t[1].failure = "no";
  EXPECT_EQ(choose_tactic(t), 0u);
}

}  // namespace
}  // namespace tenon
