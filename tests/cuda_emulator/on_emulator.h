// For tests: graphs on an emulated GPU, held against the references.
//
//   EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f32[n, 768]) -> (%y) { %y = Softmax(%x) })", {.sizes = {{{"n", 1}}, {{"n", 33}}}}));
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/compiler.h"
#include "cuda_emulator/machine.h"
#include "ops/op.h"

namespace tenon {
class Executor;
struct LoadedPlan;
}  // namespace tenon

namespace tenon::emulator {

constexpr const char* kDefaultTarget = "cuda:sm_90a";

// A graph whose nodes have been given kernels as they stand, without passes, and loaded. No control flow.
class OnEmulator {
 public:
  // `variant` and `blocks` as AgreeOptions has them.
  static Result<std::unique_ptr<OnEmulator>> build(const Graph& g, const std::string& target = kDefaultTarget, bool tf32 = false,
                                                   const std::string& variant = "", int blocks = 0);
  ~OnEmulator();

  // Runs with each input and output in memory of its own on the device, aligned to no more than the 16 bytes that kernels
  // may count on, and ending where an access behind it faults.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs, Order order = Order::forwards);

  // The kernels of nodes that run on the device: "softmax.rows".
  const std::vector<std::string>& kernels() const { return kernels_; }
  // Why nodes do not: "Sin 'node': no cuda kernel family handles this operator"; empty where all do.
  const std::string& missing() const { return missing_; }

 private:
  OnEmulator() = default;

  Graph graph_;
  Devices devices_;
  std::unique_ptr<LoadedPlan> plan_;
  std::unique_ptr<Stream> stream_, host_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::string> kernels_;
  std::string missing_;
};

using Sizes = std::map<std::string, int64_t>;

struct AgreeOptions {
  std::string target = kDefaultTarget;
  bool tf32 = false;  // KernelRequest::tf32
  // Values for the graph's symbols: the kernels are built once and run with each of these.
  std::vector<Sizes> sizes = {{}};
  // Given in the graph's order, or drawn: floats from [low, high), integers 0 or 1.
  std::vector<Tensor> inputs;
  double low = -2, high = 2;
  // What each kernel's name must look like ("matmul.*"), so that a test does not test another kernel than it means to.
  std::string kernel = "*";
  // The variant to take instead of the cost model's, and how many blocks its launches have: of a kernel whose
  // blocks take what there is.
  std::string variant;
  int blocks = 0;
  // Instead of the sum of the operators' own tolerances.
  std::optional<Tolerance> tolerance;
};

// Whether all nodes run on the device, results agree with the references', and are the same bits in whatever order
// threads are started.
::testing::AssertionResult agrees_on_emulator(const Graph& g, const AgreeOptions& options = {});
::testing::AssertionResult agrees_on_emulator(OnEmulator& built, const Graph& g, const AgreeOptions& options = {});
::testing::AssertionResult agrees_on_emulator(std::string_view text, const AgreeOptions& options = {});

}  // namespace tenon::emulator
