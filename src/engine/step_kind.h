// StepKind: what a node of an engine's graph needs at run time.
#pragma once

#include "ir/graph.h"

namespace tenon {

enum class StepKind : uint8_t {
  kernel,  // run by a kernel
  view,    // output 0 is input 0's memory under another shape
  dims,    // shape arithmetic, computed on the host while shapes are bound
  copy,    // brings a value from the device's memory to the host's, or back
};

inline StepKind step_kind(const Node& node) {
  if (node.op->domain == "tenon" && node.op->name == "Dims") return StepKind::dims;
  if (node.op->domain == "tenon" && node.op->name == "Copy") return StepKind::copy;
  return node.op->view && node.outputs.size() == 1 ? StepKind::view : StepKind::kernel;
}

// What the branches of an If capture goes to them as it is, so it may stand in either memory; and its results stand on the
// device where a branch makes them there. Loop and Scan take tensors apart on the host.
inline bool passes_through(const Node& node) { return node.op->domain.empty() && node.op->name == "If"; }

}  // namespace tenon
