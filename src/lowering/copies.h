// Copies: puts a Copy node wherever a value changes memory, for devices with memory of their own.
#pragma once

#include <set>

#include "lowering/lower.h"

namespace tenon {

// `on_device[n]`: whether node n runs on the device; `made_there`: results of other nodes that stand there all the same. Views go with what uses them. Graph inputs and shape arithmetic are
// on the host; copies of graph inputs come first, so that what follows them can be recorded. A value that the device
// only reads while it binds (KernelImage::host_inputs) stays on the host, or is brought there.
Lowered insert_copies(Graph g, std::vector<StepPlan> steps, const std::vector<bool>& on_device, const std::set<ValueId>& made_there = {});

}  // namespace tenon
