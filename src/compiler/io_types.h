// Types that a user wants the graph's inputs and outputs to have: "logits=fp16".
#pragma once

#include "ir/graph.h"

namespace tenon {

struct IoType {
  std::string pattern;  // of inputs' and outputs' names: "*" and "?"
  DType type = DType::none;
};

// "GLOB=TYPE", of fp32, fp16, bf16 for floats, int32, int64 for integers. Errors: invalid_argument, showing the form.
Result<IoType> parse_io_type(std::string_view text);

// Gives the inputs and outputs that a pattern names its type, with a Cast between them and the rest of the graph; of
// several patterns the last. Floats stay floats and integers integers: "*=fp16" leaves integers alone. Errors:
// invalid_argument for a pattern that names nothing, or nothing that can have the type.
Status apply_io_types(Graph& g, const std::vector<IoType>& types);

// The graph that answers before they change their type: floats that a Cast from float32 makes give its operand.
Graph without_output_casts(Graph g);

}  // namespace tenon
