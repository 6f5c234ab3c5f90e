// Every operator on every device: each sample of the operator book, compiled as a graph of one node, against the
// reference, within the operator's own tolerance.
#include <gtest/gtest.h>

#include "backend/compiler.h"
#include "compiler/compile.h"
#include "ir/interpreter.h"
#include "op_samples.h"
#include "runtime/engine.h"

namespace tenon {
namespace {

class Samples : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, Samples, ::testing::ValuesIn(device_names()), [](auto& p) { return p.param; });

TEST_P(Samples, AgreeWithTheReference) {
  if (Status s = device_state(GetParam()); !s.ok()) GTEST_SKIP() << s.message();
  int compared = 0;
  for (const Op* op : all_ops()) {
    if (!op->deterministic) continue;
    for (size_t k = 0; k < op->samples.size(); ++k)
      for (SampleForm form : {SampleForm::constants, SampleForm::no_constants}) {
        if (!has_form(op->samples[k], form)) continue;
        const std::string label = sample_label(*op, k, form);
        auto sample = sample_graph(*op, k, form);
        if (!sample.ok()) {
          ADD_FAILURE() << label << ": " << sample.status().message();
          continue;
        }
        const Graph& g = sample->graph;
        const std::vector<Tensor>& inputs = sample->inputs;
        auto want = interpret(g, inputs);
        if (!want.ok()) {
          ADD_FAILURE() << label << ": the reference fails: " << want.status().message();
          continue;
        }
        BuildOptions options;
        options.device = GetParam();
        options.golden = false;
        auto built = compile_model({g, 21, ""}, "0", options);
        auto engine = built.ok() ? LoadedEngine::load_bytes(built->bytes, nullptr) : built.status();
        auto context = engine.ok() ? Context::create(*engine, {2}) : engine.status();
        std::vector<Tensor> got;
        Status s = context.ok() ? (*context)->run(inputs, got) : context.status();
        if (!s.ok()) {
          ADD_FAILURE() << label << ": " << s.to_string();
          continue;
        }
        ++compared;
        for (size_t i = 0; i < got.size(); ++i) {
          const std::string d = difference(op->tolerance, got[i], (*want)[i]);
          EXPECT_EQ(d, "") << label << ", output " << i;
        }
      }
  }
  EXPECT_GT(compared, 300);
}

TEST(OperatorBook, EveryOperatorHasASample) {
  for (const Op* op : all_ops()) {
    bool body = op->domain == "tenon" || op->compatible_from > op->version;  // the latter are only rewritten on import
    for (const AttrSpec& a : op->attrs) body = body || a.kind == AttrKind::graph;
    EXPECT_TRUE(body || !op->samples.empty()) << op->name;
  }
}

}  // namespace
}  // namespace tenon
