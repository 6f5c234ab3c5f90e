// What an engine's memory will be, said before it runs: from the shapes of a profile, without a device.
#pragma once

#include "engine/content.h"

namespace tenon {

struct MemoryFigures {
  int64_t peak = 0;         // bytes of intermediate tensors as placed
  int64_t lower_bound = 0;  // the most that is alive at one step: no plan needs less
  int64_t unknown = 0;      // values whose size only the run decides; not counted
};

// Intermediate tensors of `g` at the profile's optimum or, where every range has an end, at its maximum. What kernels
// need as scratch comes on top.
MemoryFigures plan_intermediates(const Graph& g, const OptimizationProfile& profile, bool at_maximum);
bool has_maximum(const OptimizationProfile& profile);
// Constants of the graph and data that kernels have packed.
int64_t weight_bytes(const Graph& g, const std::vector<StepPlan>& steps);

}  // namespace tenon
