#include "engine/liveness.h"

#include <algorithm>

#include "engine/step_kind.h"

namespace tenon {

Liveness find_liveness(const Graph& g) {
  Liveness out;
  out.root.resize(g.values.size());
  for (size_t v = 0; v < g.values.size(); ++v) out.root[v] = ValueId(v);
  out.last_use.assign(g.values.size(), -1);
  out.defined_at.assign(g.values.size(), -1);
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    if (step_kind(node) == StepKind::view) out.root[size_t(node.outputs[0])] = out.root[size_t(node.inputs[0])];
    for (ValueId v : node.inputs)
      if (v != kNoValue) out.last_use[size_t(out.root[size_t(v)])] = int(n);
    for (ValueId v : node.outputs)
      if (v != kNoValue && out.root[size_t(v)] == v) {
        out.defined_at[size_t(v)] = int(n);
        out.last_use[size_t(v)] = std::max(out.last_use[size_t(v)], int(n));
      }
  }
  for (ValueId v : g.outputs) out.last_use[size_t(out.root[size_t(v)])] = int(g.nodes.size());
  return out;
}

}  // namespace tenon
