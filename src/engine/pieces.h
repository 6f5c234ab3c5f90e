// Pieces: operators that compute nothing where their operands stand within one another. A Split or a Slice
// along a dimension that only dimensions of size 1 stand before gives runs of its input's bytes. The inputs
// of such a Concat are runs of its output; those of any other Concat are columns of the output's rows.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace tenon {

// What is known before a run, of values and of the kernels chosen for nodes. Each may be empty: nothing is.
struct KnownValues {
  std::function<const Shape*(ValueId)> shape;  // null: only the run tells
  std::function<std::optional<Ints>(ValueId)>
      ints;                                    // elements of an integer tensor; asked for short ones only
  std::function<bool(size_t)> strides_output;  // KernelImage::strides_output of a node's kernel
  // Whether parts that have to be copied may be rows: a device would copy them one by one.
  bool copies_rows = true;
};

// Of a Split, a Slice, or a Gather of one index: where each output begins in input 0, in bytes.
std::optional<std::vector<int64_t>> runs_of_input(const Graph& g, const Node& node, const KnownValues& known);
// Of a Concat: its output as rows, in bytes, and where the row of each input begins in one of them.
struct Columns {
  std::vector<int64_t> begin;
  int64_t rows = 1, row_bytes = 0;
};
std::optional<Columns> columns_of_output(const Graph& g, const Node& node, const KnownValues& known);

}  // namespace tenon
