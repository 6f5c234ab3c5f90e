#include "passes/cleanup/remove_noops.h"

#include <algorithm>

#include "ops/common/pointwise.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

static ValueId input(const Node& n, size_t i) { return i < n.inputs.size() ? n.inputs[i] : kNoValue; }

// x op c = x: the other operand, where the node is that.
static std::optional<ValueId> neutral(const Graph& g, const Node& n) {
  const std::string& op = n.op->name;
  const bool add = op == "Add", mul = op == "Mul", sub = op == "Sub", div = op == "Div", pow = op == "Pow";
  if (!add && !mul && !sub && !div && !pow) return std::nullopt;
  const double unit = add || sub ? 0 : 1;
  if (is_splat(g, n.inputs[1], unit)) return n.inputs[0];
  if ((add || mul) && is_splat(g, n.inputs[0], unit)) return n.inputs[1];
  return std::nullopt;
}

static bool all_equal(const Graph& g, ValueId v, int64_t want) {
  auto ints = int_values(g, v);
  return ints && std::all_of(ints->begin(), ints->end(), [&](int64_t x) { return x == want; });
}

// The input that the node's only used output repeats, if shapes and types agree.
static std::optional<ValueId> repeated(const Graph& g, const Node& n) {
  if (!n.op->domain.empty() || n.inputs.empty()) return std::nullopt;
  const std::string& op = n.op->name;
  if (op == "Identity" || op == "Expand" || op == "Tile" || op == "Cast" || op == "CastLike" || op == "Reshape" ||
      op == "Squeeze" || op == "Unsqueeze" || op == "Flatten" || op == "Split")
    return n.inputs[0];
  if (op == "Dropout")
    return input(n, 2) == kNoValue || is_splat(g, n.inputs[2], 0) ? std::optional(n.inputs[0]) : std::nullopt;
  if (op == "Concat" || op == "Max" || op == "Min" || op == "Sum" || op == "Mean")
    return n.inputs.size() == 1 ? std::optional(n.inputs[0]) : std::nullopt;
  if (op == "Pad") return all_equal(g, n.inputs[1], 0) ? std::optional(n.inputs[0]) : std::nullopt;
  if (op == "Slice")  // forward steps over as many elements as there are
    return input(n, 4) == kNoValue || all_equal(g, n.inputs[4], 1) ? std::optional(n.inputs[0]) : std::nullopt;
  if (op == "Where") {
    auto condition = splat_value(g, n.inputs[0]);
    return condition ? std::optional(n.inputs[*condition != 0 ? 1 : 2]) : std::nullopt;
  }
  if (op == "Transpose") {
    const Ints& perm = n.attrs.ints("perm");
    return n.attrs.has("perm") && std::is_sorted(perm.begin(), perm.end()) ? std::optional(n.inputs[0]) : std::nullopt;
  }
  return neutral(g, n);
}

// Parts of a Concat that hold nothing.
static Result<bool> drop_empty_parts(Rewriter& r, const Node& n) {
  if (!is_op(n, "Concat") || !r.info(n.outputs[0]).ranked) return false;
  const int64_t rank = int64_t(r.info(n.outputs[0]).shape.size()), axis = n.attrs.i("axis");
  std::vector<ValueId> parts;
  for (ValueId v : n.inputs) {
    const ValueInfo& info = r.info(v);
    const bool empty = info.ranked && int64_t(info.shape.size()) == rank && info.shape[size_t(axis < 0 ? axis + rank : axis)].is(0);
    if (!empty) parts.push_back(v);
  }
  if (parts.empty() || parts.size() == n.inputs.size()) return false;
  TRY(r.emit_to(n.outputs[0], "Concat", parts, n.attrs, {&n}));
  return true;
}

// Add(Expand(x, s), y) = Add(x, y) where the sum has that shape anyway.
static Result<bool> skip_expand(Rewriter& r, const Node& n) {
  if (!n.op->scalar || n.op->infer || n.outputs.size() != 1 || !r.info(n.outputs[0]).ranked) return false;
  bool found = false;
  std::vector<ValueId> inputs = n.inputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Node* expand = r.def(inputs[i], "Expand");
    if (!expand || !r.info(expand->inputs[0]).ranked) continue;
    SymShape shape;
    bool known = true;
    for (size_t k = 0; k < inputs.size() && known; ++k) {
      const ValueId v = k == i ? expand->inputs[0] : inputs[k];
      if (v == kNoValue) continue;
      auto wider = r.info(v).ranked ? broadcast_shapes(shape, r.info(v).shape) : Result<SymShape>(unsupported("rank"));
      known = wider.ok();
      if (known) shape = *wider;
    }
    if (!known || !same_shape(shape, r.info(n.outputs[0]).shape)) continue;
    inputs[i] = expand->inputs[0];
    found = true;
  }
  if (!found) return false;
  Node node = n;
  node.inputs = inputs;
  TRY(r.emit_node(std::move(node)));
  return true;
}

Result<Graph> remove_noops(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    if (TRY(drop_empty_parts(r, n)) || TRY(skip_expand(r, n))) return true;
    for (size_t i = 1; i < n.outputs.size(); ++i)
      if (n.outputs[i] != kNoValue) return false;
    if (n.outputs.empty() || n.outputs[0] == kNoValue) return false;
    const auto same = repeated(r.graph(), n);
    if (!same || *same == kNoValue || r.info(*same).dtype != r.info(n.outputs[0]).dtype) return false;
    const bool any_shape = is_op(n, "Identity") || is_op(n, "Dropout") || is_op(n, "Cast") || is_op(n, "CastLike");
    if (!any_shape && !same_shape(r.graph(), *same, n.outputs[0])) return false;
    r.replace(n.outputs[0], *same);
    return true;
  }));
  return g;
}

}  // namespace tenon
