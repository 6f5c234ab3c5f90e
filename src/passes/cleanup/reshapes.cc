#include "passes/cleanup/reshapes.h"

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

static bool is_view(const Node& n) {
  return is_op(n, "Reshape") || is_op(n, "Squeeze") || is_op(n, "Unsqueeze") || is_op(n, "Flatten");
}

// Gelu(Reshape(x)) = Reshape(Gelu(x)), also where other operands are single numbers.
static Result<bool> move_behind(Rewriter& r, const Node& n) {
  if (n.outputs.size() != 1) return false;
  std::optional<size_t> from;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    const ValueId v = n.inputs[i];
    if (v == kNoValue || (r.info(v).ranked && r.info(v).shape.empty()) || single_value(r.graph(), v)) continue;
    if (from) return false;
    from = i;
  }
  const Node* view = from && r.once(n.inputs[*from]) ? r.def(n.inputs[*from], "Reshape") : nullptr;
  if (!view || !same_shape(r.graph(), n.inputs[*from], n.outputs[0])) return false;
  const ValueInfo& x = r.info(view->inputs[0]);
  if (!x.ranked) return false;
  for (ValueId v : n.inputs)
    if (v != kNoValue && v != n.inputs[*from] && r.info(v).shape.size() > x.shape.size()) return false;
  Node moved = n;
  moved.inputs[*from] = view->inputs[0];
  const ValueId inner = r.graph().add_value(r.graph().value(n.outputs[0]).name);
  moved.outputs = {inner};
  TRY(r.emit_node(std::move(moved)));
  TRY(r.emit_to(n.outputs[0], "Reshape", {inner, view->inputs[1]}, view->attrs, {view}));
  return true;
}

Result<Graph> reshapes(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    if (n.op->scalar) return move_behind(r, n);
    if (!is_view(n) || !r.info(n.outputs[0]).ranked) return false;
    ValueId x = n.inputs[0];
    const Node* before = r.def(x);
    const bool chain = before && is_view(*before) && r.info(before->inputs[0]).ranked;
    if (chain) x = before->inputs[0];
    if (!r.info(x).ranked) return false;
    const SymShape shape = r.info(n.outputs[0]).shape;
    if (same_shape(r.info(x).shape, shape)) {
      r.replace(n.outputs[0], x);
      return true;
    }
    const auto target = reshape_target(r.info(x).shape, shape);
    if (!target) return false;
    if (!chain && is_op(n, "Reshape") && r.is_constant(n.inputs[1]) && r.constant(n.inputs[1]).to_ints() == target->dims &&
        bool(n.attrs.i("allowzero")) == target->allow_zero)
      return false;
    const Node from = chain ? *before : n;
    const ValueId dims = r.constant(r.graph().value(n.outputs[0]).name + ".shape", target->tensor());
    TRY(r.emit_to(n.outputs[0], "Reshape", {x, dims}, target->attrs(), {&n, &from}));
    return true;
  }));
  return g;
}

}  // namespace tenon
