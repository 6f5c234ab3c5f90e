// The verifier: says whether a graph is legal. Runs after every pass.
#pragma once

#include "ir/graph.h"

namespace tenon {

// Definitions before uses, each value defined once, ids in range, operators' input counts and types, attributes,
// unique names, subgraphs likewise. Errors: internal, naming the node (a pass broke the graph).
Status verify(const Graph& g);

}  // namespace tenon
