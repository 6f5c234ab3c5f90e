#include "passes/fusion/fold_pads.h"

#include <algorithm>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

// The pads of the spatial dimensions, [begins..., ends...], if there are only such and they are not negative.
static std::optional<Ints> spatial_pads(const Graph& g, const Node& pad) {
  if (pad.attrs.s("mode") != "constant" || !g.info(pad.inputs[0]).ranked) return std::nullopt;
  if (pad.inputs.size() > 2 && pad.inputs[2] != kNoValue && !is_splat(g, pad.inputs[2], 0)) return std::nullopt;
  const int64_t rank = int64_t(g.info(pad.inputs[0]).shape.size());
  const auto pads = int_values(g, pad.inputs[1]);
  if (!pads || rank < 3) return std::nullopt;
  Ints axes;
  if (pad.inputs.size() > 3 && pad.inputs[3] != kNoValue) {
    auto given = int_values(g, pad.inputs[3]);
    if (!given) return std::nullopt;
    axes = *given;
  } else {
    for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  }
  if (pads->size() != 2 * axes.size()) return std::nullopt;
  Ints out(size_t(2 * (rank - 2)), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i], begin = (*pads)[i], end = (*pads)[i + axes.size()];
    if (begin < 0 || end < 0 || axis < 0 || axis >= rank || (axis < 2 && (begin || end))) return std::nullopt;
    if (axis < 2) continue;
    out[size_t(axis - 2)] += begin;
    out[size_t(axis - 2 + rank - 2)] += end;
  }
  return out;
}

Result<Graph> fold_pads(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    const bool conv = is_op(n, "Conv"), pool = is_op(n, "AveragePool");
    if ((!conv && !pool) || n.attrs.i("channels_last")) return false;
    const std::string& mode = n.attrs.s("auto_pad");
    if (mode != "NOTSET" && mode != "VALID" && !mode.empty()) return false;
    const Node* pad = r.def(n.inputs[0], "Pad");
    auto pads = pad ? spatial_pads(r.graph(), *pad) : std::nullopt;
    if (!pads) return false;
    Ints own = mode == "VALID" ? Ints() : n.attrs.ints("pads");
    own.resize(pads->size(), 0);
    const bool padded = std::any_of(own.begin(), own.end(), [](int64_t p) { return p != 0; });
    if (pool && (n.attrs.i("ceil_mode") || (padded && !n.attrs.i("count_include_pad")))) return false;
    Attrs attrs = n.attrs;
    if (pool) {
      // A window of nothing but padding has no average.
      const Ints& kernel = n.attrs.ints("kernel_shape");
      for (size_t i = 0; i < own.size(); ++i)
        if (own[i] + (*pads)[i] >= kernel[i % kernel.size()]) return false;
      attrs.set("count_include_pad", int64_t(1));
    }
    for (size_t i = 0; i < own.size(); ++i) own[i] += (*pads)[i];
    attrs.set("auto_pad", "NOTSET");
    attrs.set("pads", own);
    std::vector<ValueId> inputs = n.inputs;
    inputs[0] = pad->inputs[0];
    const Node from = *pad;
    TRY(r.emit_to(n.outputs[0], n.op->name, inputs, attrs, {&n, &from}));
    return true;
  }));
  return g;
}

}  // namespace tenon
