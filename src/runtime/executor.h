// Executor: runs a loaded plan. Binds it to the shapes of its inputs (remembering the last few), then runs the steps.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/plan.h"
#include "runtime/step_timer.h"

namespace tenon {

struct Binding;
struct Spot;
class SymbolValues;

struct RunOptions {
  // Where outputs that the caller does not give are allocated: in the device's memory if they are made there.
  bool outputs_on_device = false;
  // False: return when the work is on the stream. Outputs are valid after the stream was waited for; those that have to
  // come to the host are waited for in any case.
  bool wait = true;
};

class Executor {
 public:
  // `host` runs the steps that are not the device's; the same as `stream` where the device is the host. All three must
  // outlive the executor.
  Executor(const LoadedPlan& plan, Stream& stream, Stream& host);
  ~Executor();
  Executor(const Executor&) = delete;

  // Inputs as in graph.inputs, dense, in the host's memory or the device's. outputs[i], where given, is written in place
  // if its shape is right (else invalid_argument); where null it is allocated here and owned by the caller.
  Status run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const RunOptions& options = {});

  // Binds to these input shapes without running, so that planned_peak() tells what they need.
  Status prepare(const std::vector<Shape>& input_shapes);

  // What runs of these shapes will take: arenas, and memory of the device from which outputs are brought to the host, which
  // is those that are not `there` already. Sizes that only the data decides are not counted.
  Result<MemoryUse> memory_for(const std::vector<Shape>& input_shapes, const std::vector<bool>& outputs_there);

  // Bytes of the device's arena for the shapes of the last run, and what no plan can go below.
  int64_t arena_bytes() const;
  int64_t planned_peak() const;
  int64_t planned_lower_bound() const;
  // The device's arena may not grow beyond this; 0: no limit.
  void set_workspace_limit(int64_t bytes) { workspace_limit_ = bytes; }
  // When set, the time of each step of the next runs is added here, and nothing is recorded or replayed.
  void set_profile(std::vector<StepTime>* times, int depth = 0);
  // Whether the last run replayed a recording.
  bool replayed() const { return replayed_; }

 private:
  // binding.cc: shapes to launches and memory.
  Result<Binding*> binding_for(const std::vector<Tensor>& inputs);
  Result<std::unique_ptr<Binding>> bind(const std::vector<Tensor>& inputs);
  Status bind_step(Binding& b, size_t n);
  Status size_counted(Binding& b, size_t n);
  Status bind_kernel(Binding& b, size_t n);
  void find_places(Binding& b);
  Status make_room_for_counts(Binding& b);
  void find_recorded(Binding& b);
  void plan_arenas(Binding& b);
  // executor.cc: one run.
  Status check_operands(const Binding& b, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) const;
  Status bring_inputs_to_host(const std::vector<Tensor>& inputs, std::vector<Tensor>& on_host);
  Status choose_targets(const Binding& b, std::vector<Tensor>& outputs, const RunOptions& options);
  Status place(Binding& b, const std::vector<Tensor>& inputs, const std::vector<Tensor>& on_host);
  Status grow_arena(const Binding& b, Place p);
  void* address_of(const Spot& spot, Place p) const;
  const void* address_for(const Binding& b, const LoadedStep& step, size_t input) const;
  Status run_bound(Binding& b, SymbolValues& symbols);
  Status run_step(Binding& b, size_t n, SymbolValues& symbols);
  Status launch(Binding& b, size_t n, void* scratch);
  Status finish_outputs(Binding& b, std::vector<Tensor>& outputs, const RunOptions& options);
  Status begin_timing(const Binding& b, size_t n);
  Status end_timing(Binding& b, const Node& node, SymbolValues& symbols);
  // late.cc: steps whose shapes or values only the run tells.
  Status run_late(Binding& b, size_t n, SymbolValues& symbols);
  Status bind_late(Binding& b, size_t n);
  Result<std::vector<std::optional<Shape>>> infer_late(const Binding& b, const Node& node, bool with_values);
  std::vector<TensorDesc> late_inputs(const Binding& b, const LoadedStep& step) const;
  bool reads_uncounted(const Node& node) const;
  Status learn_counts(Binding& b, SymbolValues& symbols);
  Status run_dynamic(Binding& b, size_t n);
  Result<std::vector<Tensor>> run_body(size_t n, const std::string& attr, std::vector<Tensor> inputs);
  // memory.cc: tensors in either memory.
  Result<Tensor> allocate(DType t, const Shape& shape, Place p);
  Status copy(Tensor& to, const Tensor& from);
  Status copy_part(const LoadedStep& step, const CopiedPart& part, void* to, const void* from);
  Tensor tensor_of(const Binding& b, ValueId v) const;
  Result<Tensor> host_copy(const Tensor& t);
  Result<Tensor> bring(const Tensor& t, Place p);
  Status settle();

  Stream& stream_of(const LoadedStep& step) { return step.place == Place::host ? host_ : stream_; }

  const LoadedPlan& plan_;
  Stream &stream_, &host_;
  std::shared_ptr<Buffer> arena_[2];      // by Place
  std::vector<bool> read_on_host_;        // of each graph input: a step of the host reads it
  const std::vector<Tensor>* inputs_ = nullptr;  // of the run that is going on
  std::vector<Tensor> targets_;           // of each output: what the kernels write; null where that is not known before
  std::vector<Tensor> staged_;            // of each output: memory of the device that is kept for it
  bool arriving_ = false;                 // copies to the host are under way
  std::vector<size_t> uncounted_;         // steps of this run that count, and whose results' shapes are not known yet
  int64_t workspace_limit_ = 0;
  std::list<std::unique_ptr<Binding>> bindings_;  // most recent first
  std::map<std::pair<size_t, std::string>, std::unique_ptr<Executor>> bodies_;
  bool replayed_ = false;
  std::vector<StepTime>* times_ = nullptr;
  int depth_ = 0;
  std::unique_ptr<StepTimer> timer_;      // while profiling
};

}  // namespace tenon
