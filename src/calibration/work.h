// How much arithmetic a graph is, from shapes alone.
#pragma once

#include <map>

#include "ir/graph.h"

namespace tenon {

// What the symbols of the inputs' shapes stand for where the inputs have these shapes.
std::map<std::string, int64_t> input_symbols(const Graph& g, std::span<const Shape> shapes);

// Multiplications that the node does, roughly: its outputs times the size of one row of its weights or of its right operand.
// `open` stands for each size that the symbols do not tell. Bodies of control flow count once for each round, as far as
// these are known.
double node_work(const Graph& g, const Node& node, const std::map<std::string, int64_t>& symbols, int64_t open);

}  // namespace tenon
