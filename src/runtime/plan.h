// LoadedPlan: a graph with its kernels loaded, and what is known of it before shapes are. Immutable, shared by contexts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/content.h"
#include "engine/liveness.h"
#include "engine/step_kind.h"

namespace tenon {

struct LoadedPlan;

// Bytes of the device's memory, where that is not the host's, and of the host's.
struct MemoryUse {
  int64_t device = 0, host = 0;
};

// Which of an engine's two memories: that of its device, or the host's. Where the device is the host, all is `device`.
enum class Place : uint8_t { device, host };

struct LoadedStep {
  StepKind kind = StepKind::kernel;
  const Node* node = nullptr;
  Place place = Place::device;  // where it runs, and its results stand; of a copy: where it copies to
  std::unique_ptr<Kernel> kernel_ptr;
  bool strides_output = false;  // KernelImage's
  std::vector<Dim> dims;        // of shape arithmetic
  std::vector<std::pair<std::string, std::unique_ptr<LoadedPlan>>> bodies;

  // Whether binding needs the value of input i. A kernel of a device with memory of its own reads it there only.
  bool wants_value(size_t i) const { return i < 32 && kernel_ptr && kernel_ptr->value_inputs() >> i & 1; }
  bool ignores_value(size_t i) const { return i < 32 && kernel_ptr && kernel_ptr->unread_inputs() >> i & 1; }
};

struct LoadedPlan : Liveness {
  Graph graph;
  std::vector<LoadedStep> steps;  // one a node
  Device* device = nullptr;       // the engine's own
  bool split = false;             // its memory is not the host's
  std::vector<Place> place;       // of each value; constants are wherever they are asked for
  std::vector<Tensor> constants;  // of each value: a constant in the device's memory, where a step reads it there

  MemoryId memory(Place p) const { return split && p == Place::device ? device->memory() : kHostMemory; }
};

// The devices must outlive the plan. `stream` is for bringing constants to the device. Errors: data_loss where the steps do
// not fit the graph.
Result<std::unique_ptr<LoadedPlan>> load_plan(Graph graph, const std::vector<StepPlan>& steps, const Devices& devices);
// What a plan keeps in its device's memory: constants, weights, machine code.
int64_t held_bytes(const LoadedPlan& plan);

}  // namespace tenon
