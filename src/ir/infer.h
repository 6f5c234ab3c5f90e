// Shape and type inference over a graph.
#pragma once

#include "ir/graph.h"

namespace tenon {

// Infers the outputs of node `n` from its inputs. What an earlier inference made up (symbols for sizes that only the
// data decides) is kept. Subgraphs of the node get types too. Errors name the node.
Status infer_node(Graph& g, Node& node);
Status infer_graph(Graph& g);

// Gives the outputs of a node whose inference failed the types that its operator's type variables tell, without
// shapes, so that the graph around it stays legal. Running the node gives the error.
void guess_types(Graph& g, Node& node);

}  // namespace tenon
