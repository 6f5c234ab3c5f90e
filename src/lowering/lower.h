// Lowering: gives each node of an optimised graph its kernel, and each value a memory.
#pragma once

#include "backend/compiler.h"
#include "engine/content.h"

namespace tenon {

struct LowerOptions {
  // Called before each kernel is compiled: how many are done, of how many.
  std::function<void(int64_t done, int64_t total)> progress;
  bool tf32 = false;  // KernelRequest::tf32
};

// A graph and one step for each of its nodes. The graph is the one that was given, bodies of control flow included, with
// `Copy` nodes where a value is made on the device and used on the host, or the other way round.
struct Lowered {
  Graph graph;
  std::vector<StepPlan> steps;
};

// Asks the compilers in their order. What the first has no kernel for is marked as a fallback, with the reason. Errors:
// no_kernel, naming the node.
Result<Lowered> lower(Graph g, const Compilers& compilers, const LowerOptions& options = {});

}  // namespace tenon
