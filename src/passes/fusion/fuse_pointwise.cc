#include "passes/fusion/fuse_pointwise.h"

#include <algorithm>

#include "passes/fusion/fused_node.h"
#include "passes/known.h"

namespace tenon {

namespace {

constexpr size_t kMostNodes = 32, kMostInputs = 12, kMostOutputs = 4;

class Grouping {
 public:
  explicit Grouping(const Graph& g) : g_(g), uses_(g), group_(g.nodes.size(), -1), seen_(g.nodes.size(), 0) {
    for (size_t n = 0; n < g.nodes.size(); ++n) {
      if (!candidate(g.nodes[n])) continue;
      group_[n] = int(groups_.size());
      groups_.push_back({int(n)});
      for (ValueId v : g.nodes[n].inputs) {
        const int p = v == kNoValue ? -1 : uses_.producer(v);
        if (p >= 0 && group_[size_t(p)] >= 0 && same_shape(g, g.nodes[size_t(p)].outputs[0], g.nodes[n].outputs[0]))
          try_merge(group_[size_t(p)], group_[n]);
      }
    }
  }

  // Groups of two or more, numbered from 0 in the order of their first nodes; -1 elsewhere.
  std::vector<int> take(std::vector<std::vector<int>>& groups) {
    std::vector<int> out(group_.size(), -1);
    for (const auto& members : groups_) {
      if (members.size() < 2) continue;
      for (int n : members) out[size_t(n)] = int(groups.size());
      groups.push_back(members);
    }
    return out;
  }
  std::vector<ValueId> outputs(const std::vector<int>& members) const {
    std::vector<ValueId> out;
    for (int n : members) {
      const ValueId v = g_.nodes[size_t(n)].outputs[0];
      const auto& users = uses_.of(v);
      const bool outside = std::any_of(users.begin(), users.end(), [&](int u) { return !contains(members, u); });
      if (outside || uses_.is_output(v)) out.push_back(v);
    }
    return out;
  }

 private:
  static bool contains(const std::vector<int>& sorted, int n) { return std::binary_search(sorted.begin(), sorted.end(), n); }

  // Small integers are sizes and indices: the host wants them one by one.
  bool candidate(const Node& n) const {
    if (!is_pointwise(g_, n)) return false;
    const ValueInfo& out = g_.info(n.outputs[0]);
    return is_float(out.dtype) || out.shape.size() > 1 || !kIndex.contains(out.dtype);
  }

  size_t count_inputs(const std::vector<int>& members) const {
    std::vector<ValueId> inputs;
    for (int n : members)
      for (ValueId v : g_.nodes[size_t(n)].inputs) {
        if (v == kNoValue || (g_.is_constant(v) && g_.constant(v).size() == 1)) continue;
        if (uses_.producer(v) >= 0 && contains(members, uses_.producer(v))) continue;
        if (std::find(inputs.begin(), inputs.end(), v) == inputs.end()) inputs.push_back(v);
      }
    return inputs.size();
  }

  void try_merge(int a, int b) {
    if (a == b || groups_[size_t(a)].size() + groups_[size_t(b)].size() > kMostNodes) return;
    std::vector<int> both;
    std::merge(groups_[size_t(a)].begin(), groups_[size_t(a)].end(), groups_[size_t(b)].begin(), groups_[size_t(b)].end(),
               std::back_inserter(both));
    if (count_inputs(both) > kMostInputs || outputs(both).size() > kMostOutputs || waits_for_itself(both)) return;
    for (int n : both) group_[size_t(n)] = b;
    groups_[size_t(b)] = std::move(both);
    groups_[size_t(a)].clear();
  }

  // The last node that must run for node n: that of its group.
  int last_of(int n) const { return group_[size_t(n)] < 0 ? n : groups_[size_t(group_[size_t(n)])].back(); }

  // Whether some input of the members, from outside, is computed from a member; groups count as one node.
  bool waits_for_itself(const std::vector<int>& members) {
    constexpr int kMostSteps = 4000;
    ++stamp_;
    std::vector<int> open;
    const auto visit = [&](int n) {
      if (n < 0 || seen_[size_t(n)] == stamp_ || last_of(n) < members.front()) return;
      seen_[size_t(n)] = stamp_;
      open.push_back(n);
    };
    for (int n : members)
      for (ValueId v : g_.nodes[size_t(n)].inputs)
        if (v != kNoValue && uses_.producer(v) >= 0 && !contains(members, uses_.producer(v))) visit(uses_.producer(v));
    for (int steps = 0; !open.empty(); ++steps) {
      const int n = open.back();
      open.pop_back();
      if (contains(members, n) || steps > kMostSteps) return true;
      for (ValueId v : g_.nodes[size_t(n)].inputs)
        if (v != kNoValue) visit(uses_.producer(v));
      if (group_[size_t(n)] >= 0)
        for (int other : groups_[size_t(group_[size_t(n)])]) visit(other);
    }
    return false;
  }

  const Graph& g_;
  const Uses uses_;
  std::vector<int> group_;
  std::vector<std::vector<int>> groups_;  // members in order
  std::vector<int> seen_;
  int stamp_ = 0;
};

}  // namespace

Result<Graph> fuse_pointwise(Graph g, const PassOptions&) {
  Grouping grouping(g);
  std::vector<std::vector<int>> groups;
  const std::vector<int> group = grouping.take(groups);
  std::vector<Node> fused;
  for (const auto& members : groups) {
    std::vector<const Node*> nodes;
    for (int n : members) nodes.push_back(&g.nodes[size_t(n)]);
    fused.push_back(make_fused(g, nodes, grouping.outputs(members), "pointwise", nodes.back()->name));
  }
  replace_by_fused(g, group, std::move(fused));
  return g;
}

}  // namespace tenon
