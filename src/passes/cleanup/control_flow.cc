#include "passes/cleanup/control_flow.h"

#include <algorithm>

#include "passes/known.h"

namespace tenon {

Result<Graph> control_flow(Graph g, const PassOptions& options) {
  PassOptions inside = options;
  inside.dump = nullptr;
  for (Node& n : g.nodes) {
    if (!has_body(n) || n.op->domain == "tenon") continue;
    for (auto& [name, value] : n.attrs) {
      const auto* body = std::get_if<GraphPtr>(&value);
      if (!body || !*body) continue;
      const Graph& b = **body;
      const bool typed = std::all_of(b.inputs.begin(), b.inputs.end(), [&](ValueId v) { return b.info(v).dtype != DType::none; });
      if (!typed) continue;
      auto done = optimize(b, inside);
      if (!done.ok()) return done.status().with_prefix(cat(describe(n), ": ", name, ": "));
      value = std::make_shared<const Graph>(std::move(done).value());
    }
  }
  return g;
}

}  // namespace tenon
