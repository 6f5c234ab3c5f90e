// For tests of the whole way: a graph in text form, built for a device, opened and run.
#pragma once

#include <gtest/gtest.h>

#include "compiler/compile.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "runtime/engine.h"

namespace tenon::whole {

inline const char* const kDevices[] = {"reference", "cpu"};

inline Result<BuildResult> build(std::string_view text, const std::string& device, BuildOptions options = {}) {
  auto g = TRY(parse(text));
  options.device = device;
  return compile_model({std::move(g), 21, "test"}, "hash", options);
}

inline std::unique_ptr<Context> open(const BuildResult& built) {
  auto engine = LoadedEngine::load_bytes(built.bytes, nullptr);
  EXPECT_TRUE(engine.ok()) << engine.status().to_string();
  if (!engine.ok()) return nullptr;
  auto context = Context::create(*engine, {2});
  EXPECT_TRUE(context.ok()) << context.status().to_string();
  return context.ok() ? std::move(context).value() : nullptr;
}

// Null, with a failure, where the graph cannot be built.
inline std::unique_ptr<Context> open(std::string_view text, const std::string& device) {
  auto built = build(text, device);
  EXPECT_TRUE(built.ok()) << built.status().to_string() << "\n" << text;
  return built.ok() ? open(*built) : nullptr;
}

// Runs engine and interpreter, and compares.
inline void expect_right(Context& context, std::string_view text, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> got;
  const Status s = context.run(inputs, got);
  ASSERT_TRUE(s.ok()) << s.to_string() << "\n" << text;
  auto want = interpret(*parse(text), inputs);
  ASSERT_TRUE(want.ok()) << want.status().to_string();
  ASSERT_EQ(got.size(), want->size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].dtype(), (*want)[i].dtype()) << "output " << i;
    ASSERT_EQ(got[i].shape(), (*want)[i].shape()) << "output " << i;
    for (int64_t k = 0; k < got[i].size(); ++k) ASSERT_NEAR(got[i].at(k), (*want)[i].at(k), 1e-5) << "output " << i;
  }
}

// Runs and expects a failure; what it says.
inline std::string error(Context& context, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> out;
  const Status s = context.run(inputs, out);
  return s.ok() ? "no error" : s.message();
}

inline Tensor ramp(Shape shape) {
  Tensor t = Tensor::make(DType::f32, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.set(i, double(i % 7) - 3);
  return t;
}
inline Tensor truth(bool yes) { return Tensor::scalar_int(yes, DType::boolean); }

}  // namespace tenon::whole
