// Rewriter: walks a graph's nodes in order and builds the new list; what passes are written with.
#pragma once

#include <deque>
#include <functional>

#include "ir/graph.h"

namespace tenon {

class Rewriter {
 public:
  explicit Rewriter(Graph& graph);

  Graph& graph() { return g_; }
  const Graph& graph() const { return g_; }
  const ValueInfo& info(ValueId v) const { return g_.info(v); }
  bool is_constant(ValueId v) const { return g_.is_constant(v); }
  const Tensor& constant(ValueId v) const { return g_.constant(v); }

  // The node that makes v, already in the new list; null for inputs and constants. With `type`: only if it is that
  // operator of ai.onnx. Stays valid while the pass runs.
  const Node* def(ValueId v) const;
  const Node* def(ValueId v, std::string_view type) const;
  // Used by one node's input only, and not an output of the graph.
  bool once(ValueId v) const;
  bool is_output(ValueId v) const { return outputs_[size_t(v)] > 0; }
  int uses(ValueId v) const { return uses_[size_t(v)]; }

  // The nodes that v is computed by from `inputs`, v's own first.
  std::vector<const Node*> between(ValueId v, const std::vector<ValueId>& inputs) const;

  // Puts a node of ai.onnx that makes `out` into the new list and infers it. Name and origins are taken from the nodes
  // that it does the work of; the first gives the name.
  Status emit_to(ValueId out, std::string_view type, std::vector<ValueId> inputs, Attrs attrs,
                 const std::vector<const Node*>& from);
  // The same with a new value, named after `hint`.
  Result<ValueId> emit(const std::string& hint, std::string_view type, std::vector<ValueId> inputs, Attrs attrs,
                       const std::vector<const Node*>& from);
  // Any node whose outputs exist.
  Status emit_node(Node node);
  ValueId constant(const std::string& hint, Tensor t);

  // Every use of `from` from here on becomes one of `to`. REQUIRES: the pass drops the node that makes `from`.
  void replace(ValueId from, ValueId to);
  // Makes v a constant; the pass drops the node that made it.
  void set_constant(ValueId v, Tensor t);

  // Calls `visit` for each node in order, its inputs already replaced. True: the pass emitted what takes the node's
  // place; false: the node stays.
  using Visit = std::function<Result<bool>(const Node& node)>;
  Status run(const Visit& visit);
  bool changed() const { return changed_; }

 private:
  ValueId resolve(ValueId v) const;
  void grow();
  void push(Node node);
  void release(ValueId v);

  Graph& g_;
  std::deque<Node> nodes_;          // op == null: dead
  std::vector<int> def_, uses_, outputs_;
  std::vector<ValueId> alias_;
  bool changed_ = false;
};

// Runs `visit` over the graph until it changes nothing more, and drops what is dead.
using RewriteVisit = std::function<Result<bool>(Rewriter& r, const Node& node)>;
Status rewrite(Graph& g, const RewriteVisit& visit);

std::vector<std::string> merge_origins(const std::vector<const Node*>& nodes);

}  // namespace tenon
