// Golden inputs and outputs: a small proof that travels with the engine, computed by the references at build time.
#pragma once

#include "engine/content.h"

namespace tenon {

// Random inputs at the profile's optimum and what the references make of `imported` (the graph before any pass). Left
// empty, with the reason in `source`, where that would take long or the data would be large.
GoldenRecord make_golden(const Graph& imported, const OptimizationProfile& profile);

}  // namespace tenon
