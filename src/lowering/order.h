// The order of steps where the data decides sizes: a device that has found one out must be waited for before
// what comes behind can be given its sizes. So all steps that need no wait come first, then those that need
// one, and so on:
//
//   %a = NonZero(%x)  %p = Neg(%a)  %b = NonZero(%y)  %q = Neg(%b)      two waits
//   %a = NonZero(%x)  %b = NonZero(%y)  %p = Neg(%a)  %q = Neg(%b)      one
#pragma once

#include "ir/graph.h"

namespace tenon {

// Whether a result's size depends on more than the shapes of the inputs.
bool data_decides(const Graph& g, const Node& node);

// Steps of one wait stay in their order, but for those that decide sizes, which come last.
Graph order_by_waits(Graph g);

}  // namespace tenon
