// Executor: runs a loaded plan. Binds it to the shapes of its inputs (remembering the last few), then runs the steps.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/memory_plan.h"
#include "runtime/plan.h"
#include "runtime/symbols.h"

namespace tenon {

// What a run costs and did, kept for the profiler.
struct StepTime {
  const Node* node;
  double begin, seconds;  // by the steady clock
  int depth;              // 0; more inside of control flow, whose node's own time covers it
};

class Executor {
 public:
  // The plan, device and stream must outlive the executor.
  Executor(const LoadedPlan& plan, Device& device, Stream& stream);
  ~Executor();
  Executor(const Executor&) = delete;

  // Inputs as in graph.inputs, dense, in memory that the device reads. outputs[i], where given, is written in place if
  // its shape is right (else invalid_argument); where null it is allocated here and owned by the caller.
  Status run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs);

  // Binds to these input shapes without running, so that planned_peak() tells what they need.
  Status prepare(const std::vector<Shape>& input_shapes);

  // Bytes of the arena for the shapes of the last run, and what no plan can go below.
  int64_t arena_bytes() const { return arena_ ? arena_->size() : 0; }
  int64_t planned_peak() const;
  int64_t planned_lower_bound() const;
  // The arena may not grow beyond this; 0: no limit.
  void set_workspace_limit(int64_t bytes) { workspace_limit_ = bytes; }
  // When set, the time of each step of the next runs is added here.
  void set_profile(std::vector<StepTime>* times, int depth = 0) {
    times_ = times;
    depth_ = depth;
  }

 private:
  struct Binding;
  struct BoundStep;

  Result<Binding*> binding_for(const std::vector<Tensor>& inputs);
  Result<std::unique_ptr<Binding>> bind(const std::vector<Tensor>& inputs);
  Status bind_step(Binding& b, size_t n);
  Status place(Binding& b, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs);
  Result<std::vector<std::optional<Shape>>> infer_late(const Binding& b, const Node& node);
  Status run_late(Binding& b, size_t n, SymbolValues& symbols);
  Status run_dynamic(Binding& b, size_t n);
  Status finish_outputs(Binding& b, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, SymbolValues& symbols);
  Result<std::vector<Tensor>> run_body(size_t n, const std::string& attr, std::vector<Tensor> inputs);
  Tensor tensor_of(const Binding& b, ValueId v) const;
  Status learn(const Binding& b, const Node& node, SymbolValues& symbols);

  const LoadedPlan& plan_;
  Device& device_;
  Stream& stream_;
  std::shared_ptr<Buffer> arena_;
  int64_t workspace_limit_ = 0;
  std::list<std::unique_ptr<Binding>> bindings_;  // most recent first
  std::map<std::pair<size_t, std::string>, std::unique_ptr<Executor>> bodies_;
  std::vector<StepTime>* times_ = nullptr;
  int depth_ = 0;
};

}  // namespace tenon
