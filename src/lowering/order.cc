#include "lowering/order.h"

#include <algorithm>

#include "engine/step_kind.h"

namespace tenon {

static std::set<std::string> symbols_of(const Graph& g, const std::vector<ValueId>& values) {
  std::set<std::string> out;
  for (ValueId v : values) {
    if (v == kNoValue) continue;
    for (const Dim& d : g.info(v).shape) d.collect_symbols(out);
    if (g.info(v).value)
      for (const Dim& d : *g.info(v).value) d.collect_symbols(out);
  }
  return out;
}

bool data_decides(const Graph& g, const Node& node) {
  const std::set<std::string> in = symbols_of(g, node.inputs);
  std::set<std::string> out;
  for (ValueId v : node.outputs) {
    if (v == kNoValue) continue;
    if (!g.info(v).ranked) return true;
    for (const Dim& d : g.info(v).shape) d.collect_symbols(out);
  }
  return std::any_of(out.begin(), out.end(), [&](const std::string& s) { return !in.contains(s); });
}

Graph order_by_waits(Graph g) {
  struct Place {
    int waits;  // how many there are before this step
    bool decides;
    size_t node;
  };
  std::vector<Place> places;
  std::vector<int> waits(g.values.size(), 0);  // of each value
  std::map<std::string, int> known_after;      // of each symbol
  for (const std::string& s : symbols_of(g, g.inputs)) known_after[s] = 0;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    Place p{0, step_kind(node) == StepKind::kernel && data_decides(g, node), n};
    for (ValueId v : node.inputs)
      if (v != kNoValue) p.waits = std::max(p.waits, waits[size_t(v)]);
    // Arithmetic on sizes reads symbols.
    std::set<std::string> read = symbols_of(g, node.outputs);
    if (step_kind(node) == StepKind::dims)
      for (const std::string& text : node.attrs.strings("dims"))
        if (const auto d = Dim::parse(text); d.ok()) d->collect_symbols(read);
    for (const std::string& s : read)
      if (auto it = known_after.find(s); it != known_after.end()) p.waits = std::max(p.waits, it->second);
    for (ValueId v : node.outputs)
      if (v != kNoValue) waits[size_t(v)] = p.waits + p.decides;
    if (p.decides)
      for (const std::string& s : symbols_of(g, node.outputs)) known_after.try_emplace(s, p.waits + 1);
    places.push_back(p);
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.waits != b.waits ? a.waits < b.waits : a.decides < b.decides;
  });
  std::vector<Node> nodes;
  for (const Place& p : places) nodes.push_back(std::move(g.nodes[p.node]));
  g.nodes = std::move(nodes);
  return g;
}

}  // namespace tenon
