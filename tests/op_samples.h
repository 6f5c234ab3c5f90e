// Samples of the operator book as graphs of one node, and how far a fast kernel may be from the reference.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace tenon {

// How a sample's inputs enter the graph. Those with given values are axes, sizes and the like: constants, unless asked
// for otherwise.
enum class SampleForm : uint8_t {
  constants,
  no_constants,
  symbolic,  // constants, and a symbol for each size above 1 of the inputs; equal sizes share one
};

struct SampleGraph {
  Graph graph;
  std::vector<Tensor> inputs;
};

// "Add sample 2 (no constants)".
std::string sample_label(const Op& op, size_t sample, SampleForm form);
// Whether this form of the sample differs from `constants`.
bool has_form(const Sample& sample, SampleForm form);
// Errors: inference's, where the operator wants to know more than this form tells it.
Result<SampleGraph> sample_graph(const Op& op, size_t sample, SampleForm form);

// What `got` is that `want` is not, allowing for a difference in floats of so many units in the last place of the largest
// number; "" when nothing.
std::string difference(const Tolerance& tolerance, const Tensor& got, const Tensor& want);

}  // namespace tenon
