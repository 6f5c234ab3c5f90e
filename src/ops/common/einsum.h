// The equation of Einsum: which label stands for which dimension.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace tenon {

// Letters are labels 0..51, dimensions of the ellipsis come after them.
struct EinsumEquation {
  std::vector<std::vector<int>> terms;  // one label for each dimension of an input
  std::vector<int> output;
  int labels = 52;
};

// `ranks[i]` is the rank of input i. Errors: an equation that says nothing, or does not fit the inputs.
Result<EinsumEquation> parse_einsum(std::string text, const std::vector<size_t>& ranks);

}  // namespace tenon
