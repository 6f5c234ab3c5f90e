#include "passes/cleanup/fold_constants.h"

#include <algorithm>
#include <cmath>

#include "ir/interpreter.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

// The reference kernels are slow: a product of two large constants would hold up the build.
static bool too_much_work(const Graph& g, const Node& n) {
  constexpr double kMost = 1e9;
  if (n.op->fusion != Fusion::out_elementwise_fusable && n.op->fusion != Fusion::opaque) return false;
  double work = 1;
  for (ValueId v : n.inputs)
    if (v != kNoValue) work *= std::max(1.0, std::sqrt(double(g.constant(v).size())));
  return work * work > kMost * kMost;
}

static bool foldable(const Graph& g, const Node& n, const PassOptions& options) {
  if (!n.op->deterministic || has_body(n)) return false;
  if (is_op(n, "DequantizeLinear") && !options.fold_dequantize) return false;
  int64_t in = 0;
  for (ValueId v : n.inputs) {
    if (v == kNoValue) continue;
    if (!g.is_constant(v)) return false;
    in += g.constant(v).bytes();
  }
  const bool changes_type = is_op(n, "Cast") || is_op(n, "CastLike") || n.op->name == "DequantizeLinear";
  constexpr int64_t kMostGrown = int64_t(1) << 20;
  for (ValueId v : n.outputs) {
    if (v == kNoValue) continue;
    auto shape = g.info(v).ranked ? to_concrete(g.info(v).shape) : std::nullopt;
    if (!shape) continue;
    const int64_t elements = num_elements(*shape);
    if (elements < 0 || elements > int64_t(1) << 40) return false;
    const int64_t bytes = byte_size(g.info(v).dtype, elements);
    if (!changes_type && bytes > kMostGrown && bytes > in) return false;
  }
  return !too_much_work(g, n);
}

Result<Graph> fold_constants(Graph g, const PassOptions& options) {
  TRY(rewrite(g, [&](Rewriter& r, const Node& n) -> Result<bool> {
    if (!foldable(r.graph(), n, options)) return false;
    std::vector<Tensor> in;
    for (ValueId v : n.inputs) in.push_back(v == kNoValue ? Tensor() : r.constant(v));
    auto out = interpret_node(*n.op, n.attrs, in, n.outputs.size());
    if (!out.ok()) return false;  // it fails when it runs, with its name
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i] != kNoValue && !(*out)[i]) return false;
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i] != kNoValue) r.set_constant(n.outputs[i], std::move((*out)[i]));
    return true;
  }));
  return g;
}

}  // namespace tenon
