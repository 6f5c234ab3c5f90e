// A value seen as a view of another: what Reshape, Transpose, Split, Slice, Gather of one index and Expand do to where elements
// lie, taken together. Multiplication by a number comes along as a scale.
#pragma once

#include <optional>

#include "passes/rewriter.h"

namespace tenon {

struct StridedView {
  struct Part {
    Dim size, stride;  // in elements of the base
  };
  ValueId base = kNoValue;
  // Of each dimension of the value: what it is made of, outermost first. Dimensions of 1 have no parts.
  std::vector<std::vector<Part>> dims;
  Dim offset = 0;
  double scale = 1;
};

// The view that v is, of the farthest value that it can be traced to; of itself at least. `scaled`: through Mul and Div by a
// number too. REQUIRES: v is ranked.
StridedView view_of(const Rewriter& r, ValueId v, bool scaled);

// `whole` / `part`, where that is exact whatever the symbols are.
std::optional<Dim> exact_quotient(const Dim& whole, const Dim& part);

}  // namespace tenon
