// Graph: a network in SSA form. Values are numbered; nodes stand in an order in which every value is defined before it
// is used. A graph is a plain value: copying it is cheap (weights and subgraphs are shared and never changed), so a
// pass takes one and returns one.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "ops/op.h"

namespace tenon {

using ValueId = int32_t;
constexpr ValueId kNoValue = -1;  // an optional input or output that is absent

struct Value {
  std::string name;  // unique within the graph
  ValueInfo info;    // info.constant holds the data of weights and other constants

  bool is_constant() const { return bool(info.constant); }
};

struct Node {
  const Op* op = nullptr;
  std::string name;                  // for messages; need not be unique
  Attrs attrs;                       // complete: defaults are filled in
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<std::string> origins;  // the ONNX nodes that this node does the work of
};

struct Graph {
  std::string name = "main";
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;   // not constants
  std::vector<ValueId> outputs;
  std::vector<std::string> output_names;  // as the user knows them; one an output, whatever the value is called
  int64_t fresh_symbols = 0;     // how many symbols inference has made up, so that it never makes one twice
  int depth = 0;                 // how many nodes' bodies it lies in; part of the symbols' names, so that a body's are
                                 // never those of a graph around it

  Value& value(ValueId v) { return values[size_t(v)]; }
  const Value& value(ValueId v) const { return values[size_t(v)]; }
  const ValueInfo& info(ValueId v) const { return values[size_t(v)].info; }
  const Tensor& constant(ValueId v) const { return values[size_t(v)].info.constant; }  // null if none
  bool is_constant(ValueId v) const { return v != kNoValue && values[size_t(v)].is_constant(); }

  // A new value; the name is made unique by a suffix where it is taken.
  ValueId add_value(const std::string& name, ValueInfo info = {});
  ValueId add_constant(const std::string& name, Tensor t);
  // Appends a node with new outputs of unknown type; infer_node fills them in. Attributes get their defaults.
  Node& add_node(const Op* op, std::string name, Attrs attrs, std::vector<ValueId> inputs,
                 std::vector<ValueId> outputs);
  void add_output(const std::string& name, ValueId v);
  Dim fresh_symbol(const char* hint);
  std::string unique_name(const std::string& wanted);

 private:
  std::set<std::string, std::less<>> names_;  // filled on first use
};

// "Conv 'layer1.conv1'", as messages and reports name a node.
std::string describe(const Node& node);
ValueInfo constant_info(Tensor t);

// Who uses a value, and who makes it. A snapshot: it does not follow changes of the graph.
class Uses {
 public:
  explicit Uses(const Graph& g);
  const std::vector<int>& of(ValueId v) const { return users_[size_t(v)]; }  // node indices, one per use
  int producer(ValueId v) const { return producer_[size_t(v)]; }             // -1: input or constant
  bool is_output(ValueId v) const { return output_[size_t(v)]; }
  // Used by exactly one node input and not an output of the graph.
  bool once(ValueId v) const { return users_[size_t(v)].size() == 1 && !output_[size_t(v)]; }

 private:
  std::vector<std::vector<int>> users_;
  std::vector<int> producer_;
  std::vector<bool> output_;
};

// Makes every use of `from` (graph outputs too) a use of `to`.
void replace_uses(Graph& g, ValueId from, ValueId to);
// Drops nodes whose results nobody uses and values that nothing names; renumbers. Graph inputs stay.
void remove_dead(Graph& g);
// Restores an order in which definitions come before uses; keeps the present order where it can. REQUIRES: no cycle.
void sort_nodes(Graph& g);

}  // namespace tenon
