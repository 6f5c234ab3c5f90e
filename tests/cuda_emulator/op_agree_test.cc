// Every operator that the cuda backend has kernels for: each sample of the operator book, on an emulated GPU, against the
// reference. A test for each operator; those without a kernel are skipped with the reason, so that families are covered as
// they come.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <set>

#include "cuda_emulator/emulated_driver.h"
#include "cuda_emulator/on_emulator.h"
#include "op_samples.h"

namespace tenon::emulator {
namespace {

constexpr SampleForm kForms[] = {SampleForm::constants, SampleForm::no_constants, SampleForm::symbolic};

bool is_tested(const Op& op) { return op.deterministic && !op.samples.empty() && op.domain != "tenon"; }

// Asks the compiler, without compiling.
KernelAnswer supported(const Graph& g) {
  install();
  static const auto compiler = create_compiler("cuda", kDefaultTarget);
  if (!compiler.ok()) return {false, compiler.status().message()};
  return (*compiler)->supports({g, g.nodes[0]});
}

// "Softmax", "com_microsoft_Gelu": as a test may be called.
std::string test_name(const Op& op) {
  std::string name = cat(op.domain, op.domain.empty() ? "" : ".", op.name);
  for (char& c : name)
    if (c == '.') c = '_';
  return name;
}
std::map<std::string, const Op*> tested_ops() {
  std::map<std::string, const Op*> out;
  for (const Op* op : all_ops())
    if (is_tested(*op)) out[test_name(*op)] = op;
  return out;
}
std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& [name, op] : tested_ops()) out.push_back(name);
  return out;
}
class CudaSamples : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Emulated, CudaSamples, ::testing::ValuesIn(names()), [](auto& p) { return p.param; });

TEST_P(CudaSamples, AgreeWithTheReference) {
  const Op& op = *tested_ops().at(GetParam());
  int compared = 0;
  std::set<std::string> reasons;
  for (size_t k = 0; k < op.samples.size(); ++k)
    for (SampleForm form : kForms) {
      if (!has_form(op.samples[k], form)) continue;
      auto sample = sample_graph(op, k, form);
      if (!sample.ok()) {  // an operator may refuse symbols
        EXPECT_EQ(form, SampleForm::symbolic) << sample_label(op, k, form) << ": " << sample.status().to_string();
        continue;
      }
      const KernelAnswer answer = supported(sample->graph);
      if (!answer.yes) {
        reasons.insert(answer.reason);
        continue;
      }
      auto built = OnEmulator::build(sample->graph);
      if (!built.ok()) {
        ADD_FAILURE() << sample_label(op, k, form) << ": " << built.status().to_string();
        continue;
      }
      AgreeOptions options;
      options.inputs = sample->inputs;
      options.tolerance = op.tolerance;
      EXPECT_TRUE(agrees_on_emulator(**built, sample->graph, options)) << sample_label(op, k, form);
      ++compared;
    }
  std::string why;
  for (const std::string& r : reasons) why += cat(why.empty() ? "" : "; ", r);
  if (!compared) GTEST_SKIP() << op.name << ": " << why;
  std::printf("%s: %d samples compared\n", GetParam().c_str(), compared);
  if (!why.empty()) std::printf("%s: not all samples: %s\n", op.name.c_str(), why.c_str());
}

// What there is no kernel for, at a glance.
TEST(CudaOperators, HaveKernels) {
  int with = 0, samples = 0, all_samples = 0;
  std::string without;
  for (const auto& [name, op] : tested_ops()) {
    int count = 0;
    for (size_t k = 0; k < op->samples.size(); ++k) {
      auto sample = sample_graph(*op, k, SampleForm::constants);
      if (!sample.ok()) continue;
      ++all_samples;
      count += supported(sample->graph).yes;
    }
    samples += count;
    with += count > 0;
    if (!count) without += cat(without.empty() ? "" : ", ", name);
  }
  std::printf("%d of %d operators, %d of %d samples have a cuda kernel; none for: %s\n", with, int(tested_ops().size()), samples, all_samples, without.c_str());
  RecordProperty("operators", with);
  RecordProperty("without", without);
  EXPECT_GT(with, 60);
}

}  // namespace
}  // namespace tenon::emulator
