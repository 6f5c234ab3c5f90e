// Lowering: gives each node of an optimised graph its kernel.
#pragma once

#include "backend/compiler.h"
#include "engine/content.h"

namespace tenon {

struct LowerOptions {
  // Called before each kernel is compiled: how many are done, of how many.
  std::function<void(int64_t done, int64_t total)> progress;
};

// One step for each node. A node that the device has no kernel for runs on the reference, marked as a fallback with the
// reason. Errors: no_kernel, naming the node.
Result<std::vector<StepPlan>> lower(const Graph& g, KernelCompiler& compiler, const LowerOptions& options = {});

}  // namespace tenon
