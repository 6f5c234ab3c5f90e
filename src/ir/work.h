// What running a node must cost at least: its arithmetic and its memory traffic, for a profile to hold its time against.
#pragma once

#include "ir/graph.h"

namespace tenon {

struct Work {
  Flops flops;
  DType factors = DType::none;  // what the products multiply
  bool exact = false;           // which tf32 does not round
  // Operands read and written once each. Of an input whose elements only move, no more than the result holds.
  double bytes = 0;
};
// At these sizes. A fused node does what its body does; control flow does nothing, its bodies' nodes do. Errors: the body
// does not take these sizes.
Result<Work> work_of(const Node& node, std::span<const Operand> in, std::span<const Operand> out);

}  // namespace tenon
