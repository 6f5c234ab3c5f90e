// intervals: between which numbers each float value of a graph lies, from constants and from operators that bound what
// they give. Whatever the inputs are: with none known, an end that stays open says nothing.
//
//   %s: f32[n, 8] = Sigmoid(%x)        [0, 1]
//   %y: f32[n, 8] = Mul(%s, %c)        [0, 1e6] where every element of %c is 1e6
#pragma once

#include "ir/graph.h"
#include "passes/precision/bounds.h"

namespace tenon {

// By value; open on both sides where nothing is known.
std::vector<Bounds> find_intervals(const Graph& g);

}  // namespace tenon
