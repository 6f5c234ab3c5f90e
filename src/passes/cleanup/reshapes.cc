#include "passes/cleanup/reshapes.h"

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

static bool is_view(const Node& n) {
  return is_op(n, "Reshape") || is_op(n, "Squeeze") || is_op(n, "Unsqueeze") || is_op(n, "Flatten");
}

Result<Graph> reshapes(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
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
