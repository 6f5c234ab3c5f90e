// Drawn inputs: what is known of a network's inputs are types and sizes, so numbers are drawn to ask what it does with them.
#pragma once

#include "engine/content.h"

namespace tenon {

// What floats look like. Integers are 0 or 1 in all of them (valid ids and masks).
enum class Drawn : uint8_t {
  noise,   // around 0 with deviation 1, each on its own
  smooth,  // neighbours are alike, as in images and signals: waves around 0.5
  edges,   // areas of about one number each with sharp borders, from -2 to 2
};

// Tensors for g.inputs of these shapes.
Result<std::vector<Tensor>> draw_inputs(const Graph& g, const std::vector<Shape>& shapes, Drawn how, uint64_t seed);

// Input shapes to ask at, best first; those behind are for networks that do not take the ones before, or are too much work
// at them. At the profile's optimum; sizes that nobody gave a range are taken for batches of 1, sides of images or lengths of
// sequences.
std::vector<std::vector<Shape>> shapes_to_ask(const Graph& g, const OptimizationProfile& profile);

}  // namespace tenon
