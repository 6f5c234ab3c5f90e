#include "passes/layout/channels_last.h"

#include <algorithm>

#include "passes/cleanup/transposes.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

static bool converts(const Graph& g, const Node& n) {
  if (!is_op(n, "Conv") && !is_op(n, "ConvTranspose") && !is_op(n, "MaxPool") && !is_op(n, "AveragePool")) return false;
  const ValueInfo& x = g.info(n.inputs[0]);
  return n.outputs.size() == 1 && !n.attrs.i("channels_last") && x.ranked && x.shape.size() >= 3 && x.shape.size() <= 5;
}

Result<bool> convert_windows(Graph& g) {
  // A graph without convolutions gains nothing: pools work on either layout.
  if (std::none_of(g.nodes.begin(), g.nodes.end(), [&](const Node& n) { return converts(g, n) && n.inputs.size() > 1; })) return false;

  Rewriter r(g);
  TRY(r.run([&](const Node& n) -> Result<bool> {
    if (!converts(r.graph(), n)) return false;
    const int64_t rank = int64_t(r.info(n.inputs[0]).shape.size());
    Ints last = {0}, first = {0, rank - 1};
    for (int64_t d = 2; d < rank; ++d) last.push_back(d);
    last.push_back(1);
    for (int64_t d = 1; d < rank - 1; ++d) first.push_back(d);
    const std::string name = r.graph().value(n.outputs[0]).name;
    std::vector<ValueId> inputs = n.inputs;
    inputs[0] = TRY(r.emit(r.graph().value(n.inputs[0]).name, "Transpose", {n.inputs[0]}, {{"perm", last}}, {&n}));
    Attrs attrs = n.attrs;
    attrs.set("channels_last", int64_t(1));
    const ValueId y = TRY(r.emit(name, n.op->name, inputs, attrs, {&n}));
    TRY(r.emit_to(n.outputs[0], "Transpose", {y}, {{"perm", first}}, {&n}));
    return true;
  }));
  return true;
}

Result<Graph> channels_last(Graph g, const PassOptions& options) {
  return TRY(convert_windows(g)) ? transposes(std::move(g), options) : std::move(g);
}

}  // namespace tenon
