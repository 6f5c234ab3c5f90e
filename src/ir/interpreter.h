// The interpreter: runs a graph node by node with the operators' references. The truth that everything fast is held to.
#pragma once

#include <functional>
#include <optional>

#include "ir/graph.h"

namespace tenon {

struct InterpretOptions {
  // Called with each value as it is computed; for per-layer comparison.
  std::function<void(const Node&, ValueId, const Tensor&)> observe;
  // Runs a node in the reference's place, with something faster. Nothing: the reference runs it.
  std::function<Result<std::optional<std::vector<Tensor>>>(const Node&, std::span<const Tensor> inputs)> compute;
};

// `inputs` as in g.inputs. Symbols of the shapes get their values from the inputs, then from each value as it is
// computed. Errors name the node.
Result<std::vector<Tensor>> interpret(const Graph& g, std::vector<Tensor> inputs, const InterpretOptions& options = {});

// Runs the subgraphs of a node with these attributes, which must outlive the result.
RunSubgraph body_interpreter(const Attrs& attrs, const SymbolValue& symbol = {});
// Infers the subgraphs of a node with these attributes, likewise.
InferSubgraph body_inference(const Attrs& attrs);

// One node on given tensors (null where absent), with its subgraphs run by the interpreter.
Result<std::vector<Tensor>> interpret_node(const Op& op, const Attrs& attrs, std::span<const Tensor> inputs,
                                           size_t num_outputs, const SymbolValue& symbol = {});

}  // namespace tenon
