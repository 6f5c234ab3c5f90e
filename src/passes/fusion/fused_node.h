// Making one tenon.Fused node of several nodes.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace tenon {

// Elementwise nodes that a fused kernel can take in: one output of known rank.
bool is_pointwise(const Graph& g, const Node& n);

// One node that does the work of `nodes` (in order): what they read becomes its inputs, constants of one element and
// what stays inside go into the body; `outputs` are those of their results that others use.
Node make_fused(const Graph& g, const std::vector<const Node*>& nodes, const std::vector<ValueId>& outputs,
                const std::string& kind, const std::string& name);

// Puts fused nodes in the place of their parts: group[n] is the index in `fused` that node n is part of, or -1.
void replace_by_fused(Graph& g, const std::vector<int>& group, std::vector<Node> fused);

}  // namespace tenon
