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

}  // namespace tenon
