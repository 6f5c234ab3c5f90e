#include "calibration/work.h"

#include <algorithm>

#include "passes/known.h"

namespace tenon {

std::map<std::string, int64_t> input_symbols(const Graph& g, std::span<const Shape> shapes) {
  std::map<std::string, int64_t> out;
  for (size_t i = 0; i < g.inputs.size() && i < shapes.size(); ++i) {
    const SymShape& shape = g.info(g.inputs[i]).shape;
    for (size_t d = 0; d < shape.size() && d < shapes[i].size(); ++d)
      if (shape[d].is_symbol()) out.try_emplace(shape[d].to_string(), shapes[i][d]);
  }
  return out;
}

namespace {

// Sizes in one execution.
struct Sizes {
  const std::map<std::string, int64_t>& symbols;
  int64_t open;

  double of(const Dim& d) const {
    const auto n = d.eval([&](const std::string& s) -> std::optional<int64_t> {
      const auto it = symbols.find(s);
      return it == symbols.end() ? open : it->second;
    });
    return double(std::max<int64_t>(n.value_or(open), 1));
  }
  double elements(const ValueInfo& info) const {
    double n = 1;
    for (const Dim& d : info.shape) n *= of(d);
    return n;
  }
};

}  // namespace

static double rounds(const Graph& g, const Node& node, int64_t open) {
  if (is_op(node, "If")) return 1;
  if (is_op(node, "Loop") && !node.inputs.empty())
    if (auto count = int_values(g, node.inputs[0]); count && !count->empty()) return double(std::clamp<int64_t>((*count)[0], 1, 1 << 20));
  return double(open);
}

double node_work(const Graph& g, const Node& node, const std::map<std::string, int64_t>& symbols, int64_t open) {
  const Sizes sizes{symbols, open};
  double work = 0;
  if (has_body(node)) {
    for (const auto& [name, value] : node.attrs)
      if (const auto* body = std::get_if<GraphPtr>(&value); body && *body)
        for (const Node& inner : (*body)->nodes) work += node_work(**body, inner, symbols, open);
    return work * rounds(g, node, open);
  }
  if (node.outputs.empty() || node.op->view) return 0;
  for (ValueId v : node.outputs)
    if (v != kNoValue) work += sizes.elements(g.info(v));
  const bool product = node.op->fusion == Fusion::out_elementwise_fusable && node.inputs.size() > 1 && node.inputs[1] != kNoValue;
  if (!product) {  // reductions read more than they write
    for (ValueId v : node.inputs)
      if (v != kNoValue && !g.is_constant(v)) work = std::max(work, sizes.elements(g.info(v)));
    return work;
  }
  const ValueInfo& w = g.info(node.inputs[1]);
  if (!w.ranked || w.shape.empty()) return work;
  if (is_op(node, "MatMul")) return work * (w.shape.size() < 2 ? sizes.of(w.shape[0]) : sizes.of(w.shape[w.shape.size() - 2]));
  if (is_op(node, "Gemm")) return work * sizes.of(w.shape[node.attrs.i("transB") ? 1 : 0]);
  return work * sizes.elements(w) / sizes.of(w.shape[0]);
}

}  // namespace tenon
