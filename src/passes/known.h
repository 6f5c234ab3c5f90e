// Small questions that passes ask about values: is it this constant, do shapes agree, which axes.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace tenon {

// The value that every element of a constant has; nothing if they differ or there are none.
std::optional<double> splat_value(const Graph& g, ValueId v);
inline bool is_splat(const Graph& g, ValueId v, double want) { return splat_value(g, v) == want; }
// The value of a constant with one element, whatever its rank.
std::optional<double> single_value(const Graph& g, ValueId v);
// As single_value, within a relative difference of 1e-4: constants that exporters rounded.
bool is_about(const Graph& g, ValueId v, double want);
// The elements of a small integer vector, where all are plain numbers.
std::optional<Ints> int_values(const Graph& g, ValueId v);

bool same_shape(const SymShape& a, const SymShape& b);
// Both of known rank and equal for all values of the symbols.
bool same_shape(const Graph& g, ValueId a, ValueId b);
// All dimensions are 1.
bool all_ones(const SymShape& shape);

// A constant that, broadcast against rank `rank`, varies along `axis` only: one number for each of `channels`.
std::optional<std::vector<double>> channel_values(const Graph& g, ValueId v, int64_t rank, int64_t axis,
                                                  int64_t channels);
// Axes counted from the front, sorted; nothing if one is out of range.
std::optional<Ints> sorted_axes(const Ints& axes, int64_t rank);
// The axes that a Reduce node reduces; nothing where they are not known.
std::optional<Ints> reduced_axes(const Graph& g, const Node& node);

// A constant for Reshape's second input that turns `in` into `out`, whatever the symbols are, with `allowzero`.
struct ReshapeTarget {
  Ints dims;
  bool allow_zero = false;
  Tensor tensor() const { return Tensor::of_ints(dims); }
  Attrs attrs() const { return {{"allowzero", int64_t(allow_zero)}}; }
};
std::optional<ReshapeTarget> reshape_target(const SymShape& in, const SymShape& out);

// Bytes of a value, symbols guessed: for weighing one form of a graph against another.
double guess_bytes(const ValueInfo& info);

bool is_op(const Node& node, std::string_view name);  // of ai.onnx
// How many of the node's first operands are factors of products, which precision tf32 rounds unless the node has `exact`; 0
// for nodes that have none. Convolutions of single channels are none: each channel has its own weights.
size_t product_factors(const Graph& g, const Node& node);
// Nodes that hold graphs of control flow; passes leave them alone.
bool has_body(const Node& node);

}  // namespace tenon
