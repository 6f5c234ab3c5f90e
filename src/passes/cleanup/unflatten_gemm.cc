#include "passes/cleanup/unflatten_gemm.h"

#include <algorithm>

#include "ir/interpreter.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

// W as [K, N]; kNoValue where it would have to be transposed at run time.
static Result<ValueId> weights(Rewriter& r, const Node& n) {
  if (!n.attrs.i("transB")) return n.inputs[1];
  if (!r.is_constant(n.inputs[1])) return kNoValue;
  const std::vector<Tensor> in = {r.constant(n.inputs[1])};
  auto out = TRY(interpret_node(*find_op("", "Transpose"), {{"perm", Ints{1, 0}}}, in, 1));
  return r.constant(r.graph().value(n.inputs[1]).name, out[0]);
}

Result<Graph> unflatten_gemm(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    if (!is_op(n, "Gemm") || n.attrs.i("transA") || n.attrs.f("alpha") != 1) return false;
    const Node* flat = r.def(n.inputs[0], "Reshape");
    const ValueInfo matrix = r.info(n.inputs[0]), out = r.info(n.outputs[0]);
    if (!flat || !r.info(flat->inputs[0]).ranked || !matrix.ranked || !out.ranked) return false;
    // x as [rows..., K], where its last dimensions together are K.
    const SymShape full = r.info(flat->inputs[0]).shape;
    SymShape shape = full;
    while (shape.size() > 1 && !(shape.back() == matrix.shape.back())) {
      const Dim last = shape.back();
      shape.pop_back();
      shape.back() = shape.back() * last;
    }
    const auto many = std::count_if(shape.begin(), shape.end(), [](const Dim& d) { return !d.is(1); });
    if (shape.size() < 3 || many < 2 || (many == 2 && shape[shape.size() - 2].is(1))) return false;
    const auto joined = reshape_target(full, shape);
    if (!joined) return false;
    // The bias for a column, if any.
    const bool has_bias = n.inputs.size() > 2 && n.inputs[2] != kNoValue;
    if (has_bias) {
      const ValueInfo& c = r.info(n.inputs[2]);
      if (!c.ranked || n.attrs.f("beta") != 1 || (c.shape.size() == 2 && !c.shape[0].is(1))) return false;
    }
    SymShape wide = shape;
    wide.back() = out.shape.back();
    const auto target = reshape_target(wide, out.shape);
    if (!target) return false;
    const ValueId w = TRY(weights(r, n));
    if (w == kNoValue) return false;

    const std::string name = r.graph().value(n.outputs[0]).name;
    const std::vector<const Node*> from = {&n, flat};
    ValueId x = flat->inputs[0];
    if (shape.size() != full.size())
      x = TRY(r.emit(name + ".rows", "Reshape", {x, r.constant(name + ".rows.shape", joined->tensor())}, joined->attrs(), from));
    ValueId y = TRY(r.emit(name, "MatMul", {x, w}, {}, from));
    if (has_bias) y = TRY(r.emit(name, "Add", {y, n.inputs[2]}, {}, from));
    const ValueId dims = r.constant(name + ".shape", target->tensor());
    TRY(r.emit_to(n.outputs[0], "Reshape", {y, dims}, target->attrs(), from));
    return true;
  }));
  return g;
}

}  // namespace tenon
