#include "ir/work.h"

#include <algorithm>

#include "ir/infer.h"

namespace tenon {

static Operand operand_of(const ValueInfo& info) {
  const auto shape = info.ranked ? to_concrete(info.shape) : std::nullopt;
  return shape ? Operand{info.dtype, *shape} : Operand{};
}

// The flops of a fused body's nodes.
static Result<Work> work_of_body(const Graph& body, std::span<const Operand> in) {
  Graph g = body;
  if (in.size() != g.inputs.size()) return internal_error("the body takes ", g.inputs.size(), " inputs, ", in.size(), " are given");
  for (size_t i = 0; i < in.size(); ++i) g.value(g.inputs[i]).info = {in[i].dtype, true, to_sym(in[i].shape), Tensor(), std::nullopt};
  Work sum;
  for (Node& n : g.nodes) {
    for (ValueId v : n.outputs)
      if (v != kNoValue) g.value(v).info = {g.info(v).dtype, false, {}, Tensor(), std::nullopt};
    TRY(infer_node(g, n));
    std::vector<Operand> x, y;
    for (ValueId v : n.inputs) x.push_back(v == kNoValue ? Operand{} : operand_of(g.info(v)));
    for (ValueId v : n.outputs) y.push_back(v == kNoValue ? Operand{} : operand_of(g.info(v)));
    const Work w = TRY(work_of(n, x, y));
    sum.flops.products += w.flops.products;
    sum.flops.other += w.flops.other;
    if (sum.factors == DType::none && w.flops.products > 0) sum.factors = w.factors, sum.exact = w.exact;
  }
  return sum;
}

Result<Work> work_of(const Node& node, std::span<const Operand> in, std::span<const Operand> out) {
  const GraphPtr body = node.op->domain == "tenon" ? node.attrs.graph("body") : nullptr;
  if (!body)
    for (const auto& [name, value] : node.attrs)
      if (kind(value) == AttrKind::graph) return Work{};
  Work w;
  if (body) {
    w = TRY(work_of_body(*body, in));
  } else {
    w.flops = flops_of(*node.op, {node.attrs, in, out});
    w.factors = in.empty() ? DType::none : in[0].dtype;
    w.exact = node.attrs.i("exact") != 0;
  }
  double results = 0;
  for (const Operand& y : out) results += double(y.bytes());
  w.bytes = results;
  for (const Operand& x : in) {
    const double bytes = double(x.bytes());
    w.bytes += node.op->fusion == Fusion::injective ? std::min(bytes, results) : bytes;
  }
  return w;
}

}  // namespace tenon
