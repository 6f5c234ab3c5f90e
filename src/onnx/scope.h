// What the importer's parts share: the model being read, and the scopes in which names mean values.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "ir/graph.h"
#include "onnx/proto.h"
#include "onnx/tensor.h"

namespace tenon::onnx {

using Opsets = std::map<std::string, int64_t, std::less<>>;  // domain ("" is ai.onnx) to version

// The model as a whole.
struct Model {
  const ModelProto& proto;
  TensorSource& tensors;
  Opsets opsets;
  int depth = 0;      // of function calls and subgraphs being imported
  int64_t nodes = 0;  // imported so far, those of functions at each call
};

Opsets opset_map(const std::vector<OpsetProto>& list);
std::string_view plain_domain(std::string_view domain);  // "ai.onnx" to ""
const FunctionProto* find_function(const ModelProto& m, std::string_view domain, std::string_view name,
                                   std::string_view overload);

// A graph, or the body of a function that is being inlined into one.
struct Scope {
  Graph* graph;
  Scope* outer = nullptr;                              // of a subgraph: the scope whose values it may use
  const Opsets* opsets;
  std::map<std::string, ValueId, std::less<>> names = {};
  std::vector<std::string> captured = {};              // names taken from `outer`, each a graph input now
  std::string prefix = {};                             // put before the names of values and nodes
  const std::map<std::string, AttributeProto, std::less<>>* arguments = nullptr;  // of the function call
};

// The value that `name` means here; a value of an outer graph becomes an input of this one (a constant is shared).
std::optional<ValueId> resolve(Scope& scope, std::string_view name);

// Imports the nodes in order, inferring types as it goes.
Status import_nodes(Model& model, Scope& scope, const std::vector<NodeProto>& nodes);
// Imports a graph proto into scope.graph. `formal_types` false: a subgraph, whose inputs get types from the node.
Status import_graph(Model& model, Scope& scope, const GraphProto& proto, bool top);
// An attribute, with function arguments put in; nothing when it refers to an argument that was not given.
Result<std::optional<AttrValue>> import_attribute(Model& model, Scope& scope, const AttributeProto& a);

}  // namespace tenon::onnx
