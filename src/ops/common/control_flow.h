// What If, Loop and Scan share: values that a body carries from one round to the next, and stacks of its
// results.
#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon {

// How many of the node's inputs are its own; the rest are values that the bodies capture from around the
// node, which every body takes after its formal inputs. Errors: fewer than `least`.
Result<size_t> formal_inputs(const Attrs& attrs, size_t inputs, size_t least);

// What is known of a value whatever the round: type and shape, but not the elements.
ValueInfo without_value(ValueInfo v);

// What two ways to compute a value agree on: equal dims stay, others become new symbols.
Result<ValueInfo> merge_infos(InferArgs& a, const ValueInfo& x, const ValueInfo& y, const char* hint);

// A size that a carried value has at the start of each round, "_each_7". It means something inside of the body only.
bool is_size_of_each_round(std::string_view symbol);

// Infers `body` with inputs [first..., carried..., last...]; its outputs from `skip` on are the carried
// values of the next round, then the values to be stacked. A carried dim that changes from round to round
// becomes a new symbol, until nothing changes; those that did when the body was inferred last begin as that symbol, so
// that its shape arithmetic stays true and nested loops are not inferred again and again. Returns the body's outputs, the carried ones as they are after
// any number of rounds.
Result<std::vector<ValueInfo>> infer_rounds(InferArgs& a, std::vector<ValueInfo> first,
                                            std::vector<ValueInfo> carried, std::vector<ValueInfo> last,
                                            size_t skip);

// Joins equally shaped tensors along a new axis. REQUIRES: not empty; 0 <= axis <= rank. Errors: shapes or
// types differ; types of under 8 bits.
Result<Tensor> stack(const std::vector<Tensor>& parts, int64_t axis, bool reversed);
// Output i of a body that never ran, stacked along `axis`: no elements, the other sizes as far as inference tells them,
// else 0.
Status stack_nothing(RefArgs& a, size_t i, int64_t axis);
// The part of x at index k of `axis`, without that axis.
Result<Tensor> take(const Tensor& x, int64_t axis, int64_t k);

}  // namespace tenon
