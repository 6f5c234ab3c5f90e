// For tests of the runtime: a graph in text form to a loaded engine, without the passes that compiling would run.
#pragma once

#include <gtest/gtest.h>

#include "backend/compiler.h"
#include "engine/engine_file.h"
#include "engine/step_kind.h"
#include "ir/text.h"
#include "runtime/engine.h"

namespace tenon::testing {

inline std::vector<StepPlan> plan_steps(const Graph& g, KernelCompiler& compiler) {
  std::vector<StepPlan> steps;
  for (const Node& node : g.nodes) {
    StepPlan& step = steps.emplace_back();
    if (step_kind(node) != StepKind::kernel) continue;
    step.image.backend = step.image.kernel = "reference";
    bool bodies = false;
    for (const auto& [name, value] : node.attrs)
      if (const auto* body = std::get_if<GraphPtr>(&value)) {
        if (node.op->domain != "tenon") step.bodies.emplace_back(name, plan_steps(**body, compiler));
        bodies = true;
      }
    if (bodies || !compiler.supports({g, node}).yes) {
      step.fallback = true;
      continue;
    }
    auto image = compiler.compile({g, node});
    EXPECT_TRUE(image.ok()) << image.status().message();
    if (image.ok()) step.image = std::move(image).value();
  }
  return steps;
}

inline EngineContent make_content(std::string_view text, const std::string& device = "cpu") {
  EngineContent c;
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().message();
  auto compiler = create_compiler(device, "");
  EXPECT_TRUE(compiler.ok()) << compiler.status().message();
  if (!g.ok() || !compiler.ok()) return c;
  c.graph = std::move(g).value();
  c.steps = plan_steps(c.graph, **compiler);
  c.target = (*compiler)->target();
  c.model_name = "test";
  c.report = "{}";
  return c;
}

inline Result<std::shared_ptr<LoadedEngine>> load(const EngineContent& content) {
  const std::vector<uint8_t> bytes = TRY(serialize_engine(content));
  return LoadedEngine::load_bytes(bytes, nullptr);
}

// A context on a fresh engine.
inline std::unique_ptr<Context> open(const EngineContent& content, const ContextOptions& options = {1}) {
  auto engine = load(content);
  EXPECT_TRUE(engine.ok()) << engine.status().to_string();
  if (!engine.ok()) return nullptr;
  auto context = Context::create(*engine, options);
  EXPECT_TRUE(context.ok()) << context.status().to_string();
  return context.ok() ? std::move(context).value() : nullptr;
}
inline std::unique_ptr<Context> open(std::string_view text, const std::string& device = "cpu", const ContextOptions& options = {1}) {
  return open(make_content(text, device), options);
}

// Runs and expects success; empty where it failed.
inline std::vector<Tensor> run(Context& c, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> outputs;
  Status s = c.run(inputs, outputs);
  EXPECT_TRUE(s.ok()) << s.to_string();
  return s.ok() ? outputs : std::vector<Tensor>(c.engine().graph().outputs.size());
}

inline Tensor floats(const std::vector<double>& v) { return Tensor::of_floats(v); }
inline Tensor ramp(Shape shape) {
  Tensor t = Tensor::make(DType::f32, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.set(i, double(i % 13) - 5);
  return t;
}
using Doubles = std::vector<double>;

}  // namespace tenon::testing
