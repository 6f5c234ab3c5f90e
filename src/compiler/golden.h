// Golden inputs and outputs: a small proof that travels with the engine, computed by the references at build time; and what
// numbers the values of a graph take on such inputs.
#pragma once

#include "engine/content.h"
#include "passes/pipeline.h"
#include "stats/value_range.h"

namespace tenon {

// Random inputs at the profile's optimum and what the references make of `imported` (the graph before any pass). Left
// empty, with the reason in `source`, where that would take long or the data would be large.
GoldenRecord make_golden(const Graph& imported, const OptimizationProfile& profile);

// The ranges of a graph's values on two golden inputs, at the profile's optimum or, where that is much work, at its minimum.
// `told` says which, or why there are none.
ValueRanges observe_golden(const Graph& g, const OptimizationProfile& profile, std::string& told);

// PassOptions::rounding for a precision (tf32, fp16, bf16), on drawn inputs. `told` says how far the outputs move before and
// after, or why nobody asked.
std::vector<double> round_golden(const Graph& g, const std::string& precision, const std::vector<Rounds>& candidates,
                                 const OptimizationProfile& profile, std::string& told);

}  // namespace tenon
