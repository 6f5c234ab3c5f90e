// What an engine's memory will be, said before it runs: from the shapes of a profile, without a device.
#pragma once

#include "engine/content.h"

namespace tenon {

struct MemoryFigures {
  int64_t peak = 0;         // bytes of intermediate tensors as placed
  int64_t lower_bound = 0;  // the most of these that is alive at one step
  int64_t unknown = 0;      // values whose size only the run decides; not counted
};

// Of each value of `g`, whether it stands in the memory of a device whose memory is not the host's; empty where the steps,
// one a node, have no such device.
std::vector<bool> values_on_device(const Graph& g, const std::vector<StepPlan>& steps, const std::string& backend);

// Intermediate tensors of `g` at the profile's optimum or, where every range has an end, at its maximum; of all values, or of
// those marked, which `lend`: may stand in the memory of outputs as long as these are not written. What kernels need as scratch
// comes on top.
MemoryFigures plan_intermediates(const Graph& g, const std::vector<StepPlan>& steps, const OptimizationProfile& profile, bool at_maximum,
                                 const std::vector<bool>& marked = {}, bool lend = false);
// Those that take the workspace of an engine for `target`: in the memory of its device. Without a target: all.
MemoryFigures plan_workspace(const Graph& g, const std::vector<StepPlan>& steps, const std::string& target, const OptimizationProfile& profile, bool at_maximum);
bool has_maximum(const OptimizationProfile& profile);
// Constants of the graph and data that kernels have packed; of all steps, or of those of one backend. Equal bytes are stored
// once, in the file and on the device.
int64_t weight_bytes(const Graph& g, const std::vector<StepPlan>& steps, const std::string& backend = "");

}  // namespace tenon
