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

struct LoadedStep {
  StepKind kind = StepKind::kernel;
  const Node* node = nullptr;
  std::unique_ptr<Kernel> kernel_ptr;
  std::vector<std::pair<std::string, std::unique_ptr<LoadedPlan>>> bodies;
};

struct LoadedPlan : Liveness {
  Graph graph;
  std::vector<LoadedStep> steps;     // one a node
};

Result<std::unique_ptr<LoadedPlan>> load_plan(Graph graph, const std::vector<StepPlan>& steps, Device& device);

}  // namespace tenon
