// Lowering: gives each node of an optimised graph its kernel, and each value a memory.
#pragma once

#include "lowering/jobs.h"

namespace tenon {

struct LowerOptions {
  JobProgress progress;                            // of the kernels that are compiled
  bool tf32 = false;                               // KernelRequest::tf32
  const OptimizationProfile* profile = nullptr;    // KernelRequest::profile
  // Called once, before anything is compiled: may set the variant of each job, and its step's evidence. Null: the compilers
  // choose.
  std::function<Status(std::vector<KernelJob>&)> choose;
};

// A graph and one step for each of its nodes. The graph is the one that was given, bodies of control flow included, with
// `Copy` nodes where a value is made on the device and used on the host, or the other way round.
struct Lowered {
  Graph graph;
  std::vector<StepPlan> steps;
  std::vector<bool> on_device = {};  // of each output of the graph: it is made in the device's memory
};

// Asks the compilers in their order. What the first has no kernel for is marked as a fallback, with the reason. Errors:
// no_kernel, naming the node; cancelled.
Result<Lowered> lower(Graph g, const Compilers& compilers, const LowerOptions& options = {});

}  // namespace tenon
