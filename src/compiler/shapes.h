// The shapes that a user asks for: "NAME:1..8..64x3x224x224" to optimisation profiles of a graph.
#pragma once

#include "engine/content.h"

namespace tenon {

struct ShapeSpec {
  std::string input;
  std::vector<DimRange> dims;
};

// Errors: invalid_argument, showing the form.
Result<ShapeSpec> parse_shape_spec(std::string_view text);

// Puts the shapes into the graph: a dimension that every profile fixes becomes a constant, others stay symbols with
// their ranges. The first spec of an input belongs to the first profile, the second to the second, and so on. Symbols
// that nobody mentions may take any size. Errors: unknown inputs, wrong ranks, sizes that the model does not allow.
Result<std::vector<OptimizationProfile>> apply_shapes(Graph& g, const std::vector<ShapeSpec>& specs);

// Concrete input shapes at the profile's optimum; 1 where nothing is said.
std::vector<Shape> optimum_shapes(const Graph& g, const OptimizationProfile& profile);

}  // namespace tenon
