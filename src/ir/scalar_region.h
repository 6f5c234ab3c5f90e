// The scalar program of a pointwise node, or of a fused body of pointwise nodes: what a backend's loop does to one
// element.
#pragma once

#include "ir/graph.h"

namespace tenon {

// Input k of the program is input k of the node.
struct ScalarRegion {
  ScalarProgram program;
  std::vector<DType> inputs;  // types in memory; none where absent
  std::vector<DType> outputs;
};

bool is_scalar_node(const Node& node);  // an elementwise operator by itself
// Errors: internal, when a node of the body is not elementwise or a constant in it has more than one element.
Result<ScalarRegion> scalar_region(const Graph& g, const Node& node);
// Nodes [first, end) of a body, as a program over the body's values: input k is body.inputs[k], and one more input,
// after those, stands for `seed` (the result of the node before `first`).
Result<ScalarRegion> scalar_region_of_body(const Graph& body, size_t first, ValueId seed);

}  // namespace tenon
