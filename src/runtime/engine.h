// Engine and Context: an engine file opened on a device, and one user's run state on it.
#pragma once

#include <memory>
#include <string>

#include "engine/content.h"
#include "runtime/executor.h"

namespace tenon {

struct LoadOptions {
  int ordinal = 0;               // which device of its kind
  bool verify_checksums = true;
};

// Immutable once loaded; contexts on several threads share it.
class LoadedEngine : public std::enable_shared_from_this<LoadedEngine> {
 public:
  // Errors: not_found, io; data_loss, incompatible, unavailable, with what to do.
  static Result<std::shared_ptr<LoadedEngine>> load_file(const std::string& path, const LoadOptions& options = {});
  // From memory; `owner` keeps the bytes alive (null: what is needed is copied).
  static Result<std::shared_ptr<LoadedEngine>> load_bytes(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner,
                                                          const LoadOptions& options = {});

  const EngineContent& content() const { return content_; }
  const Graph& graph() const { return plan_->graph; }
  const LoadedPlan& plan() const { return *plan_; }
  Device& device() const { return *devices_[0].device; }
  const Devices& devices() const { return devices_; }
  // Weights and machine code on the device; on the host the file, which is mapped.
  const MemoryUse& memory() const { return memory_; }

 private:
  EngineContent content_;  // its graph has moved to the plan
  Devices devices_;        // its own first
  std::unique_ptr<LoadedPlan> plan_;
  MemoryUse memory_;
};

struct ContextOptions {
  int threads = 0;            // host threads; 0: one for each core
  int64_t workspace = 0;      // most bytes of intermediate memory; 0: no limit
};

// Used by one thread at a time; several contexts of one engine may run at once.
class Context {
 public:
  static Result<std::unique_ptr<Context>> create(std::shared_ptr<LoadedEngine> engine, const ContextOptions& options = {});

  // Inputs in the engine's order. outputs[i] is written in place where given, else allocated. Errors: invalid_argument
  // naming the input that does not fit.
  Status run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const RunOptions& options = {});
  // Waits for runs that did not wait themselves, and reports what went wrong in them.
  Status synchronize() { return stream_->synchronize(); }
  // The stream of its runs: its own, until it is redirected to a caller's.
  Stream& stream() { return *stream_; }

  const LoadedEngine& engine() const { return *engine_; }
  Executor& executor() { return *executor_; }
  int threads() const { return threads_; }

 private:
  Context() = default;
  Status check_profiles(const std::vector<Tensor>& inputs) const;

  std::shared_ptr<LoadedEngine> engine_;
  std::unique_ptr<Stream> stream_, host_;  // host_: for steps that are not the device's, where its memory is not the host's
  std::unique_ptr<Executor> executor_;
  int threads_ = 1;
};

}  // namespace tenon
