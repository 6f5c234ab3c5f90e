#include "passes/fusion/find_rotary.h"

#include <algorithm>

#include "passes/fusion/fused_node.h"
#include "passes/known.h"

namespace tenon {

namespace {

class Finder {
 public:
  Finder(const Graph& g, const Uses& uses) : g_(g), uses_(uses) {}

  // The nodes of the rotation that this Add ends, Mul(x, cos) first; empty where it ends none.
  std::vector<int> match(int add) {
    const Node& sum = g_.nodes[size_t(add)];
    if (!is_op(sum, "Add")) return {};
    for (size_t i = 0; i < 2; ++i) {
      const int straight = inside(sum.inputs[i], "Mul"), turned = inside(sum.inputs[1 - i], "Mul");
      if (straight < 0 || turned < 0 || straight == turned) continue;
      for (size_t j = 0; j < 2; ++j) {
        const int joined = inside(g_.nodes[size_t(turned)].inputs[j], "Concat");
        if (joined < 0 || !is_angle(g_.nodes[size_t(turned)].inputs[1 - j])) continue;
        std::vector<int> parts = halves(joined);
        if (parts.empty() || !is_straight(straight)) continue;
        parts.insert(parts.begin(), straight);
        parts.insert(parts.end(), {joined, turned, add});
        return parts;
      }
    }
    return {};
  }

 private:
  const Node& node(int n) const { return g_.nodes[size_t(n)]; }

  // What makes v, where it is that operator and nobody else reads v; else -1.
  int inside(ValueId v, std::string_view op) const {
    if (v == kNoValue || uses_.is_output(v) || uses_.of(v).size() != 1) return -1;
    const int n = uses_.producer(v);
    return n >= 0 && is_op(node(n), op) ? n : -1;
  }

  // Sets x_ and what is known of it, and gives the nodes that cut it in halves and negate the second.
  std::vector<int> halves(int joined) {
    const Node& join = node(joined);
    if (join.inputs.size() != 2) return {};
    const int negated = inside(join.inputs[0], "Neg");
    if (negated < 0) return {};
    const ValueId high = node(negated).inputs[0], low = join.inputs[1];
    const int split = uses_.producer(high);
    if (split >= 0 && is_op(node(split), "Split") && node(split).outputs.size() == 2) {
      const Node& s = node(split);
      if (s.outputs[0] != low || s.outputs[1] != high || uses_.of(low).size() != 1 || uses_.of(high).size() != 1 || uses_.is_output(low) || uses_.is_output(high)) return {};
      if (!know(s.inputs[0]) || !is_last(s.attrs.i("axis")) || !is_last(join.attrs.i("axis"))) return {};
      if (!g_.info(low).shape.back().is(size_ / 2)) return {};
      return {split, negated};
    }
    const int first = inside(low, "Slice"), second = inside(high, "Slice");
    if (first < 0 || second < 0 || node(first).inputs[0] != node(second).inputs[0] || !know(node(first).inputs[0])) return {};
    if (!is_last(join.attrs.i("axis")) || !cuts(node(first), 0) || !cuts(node(second), size_ / 2)) return {};
    return {first, second, negated};
  }

  bool know(ValueId x) {
    const ValueInfo& info = g_.info(x);
    if (!info.ranked || info.shape.size() < 2 || !info.shape.back().is_const() || !is_float(info.dtype)) return false;
    x_ = x;
    rank_ = int64_t(info.shape.size());
    size_ = info.shape.back().constant();
    return size_ > 0 && size_ % 2 == 0;
  }
  bool is_last(int64_t axis) const { return axis == rank_ - 1 || axis == -1; }

  // Whether the node cuts half of x's last dimension out, from `begin` on.
  bool cuts(const Node& slice, int64_t begin) const {
    const auto numbers = [&](size_t i) { return i < slice.inputs.size() && slice.inputs[i] != kNoValue ? int_values(g_, slice.inputs[i]) : std::nullopt; };
    const auto start = numbers(1), axes = numbers(3), steps = numbers(4);
    const bool absent = slice.inputs.size() < 5 || slice.inputs[4] == kNoValue;
    if (!start || !axes || start->size() != 1 || axes->size() != 1 || !is_last((*axes)[0])) return false;
    if (!absent && (!steps || *steps != Ints{1})) return false;
    const SymShape& shape = g_.info(slice.outputs[0]).shape;
    return ((*start)[0] == begin || (*start)[0] == begin - size_) && g_.info(slice.outputs[0]).ranked && shape.back().is(size_ / 2);
  }

  // As wide as a head.
  bool is_angle(ValueId v) const { return v != kNoValue && g_.info(v).ranked && !g_.info(v).shape.empty() && is_float(g_.info(v).dtype); }
  bool is_straight(int straight) const {
    const Node& n = node(straight);
    const bool left = n.inputs[0] == x_;
    if ((!left && n.inputs[1] != x_) || !is_angle(n.inputs[left ? 1 : 0])) return false;
    return g_.info(n.inputs[left ? 1 : 0]).shape.back().is(size_) && same_shape(g_, n.outputs[0], x_);
  }

  const Graph& g_;
  const Uses& uses_;
  ValueId x_ = kNoValue;
  int64_t rank_ = 0, size_ = 0;
};

}  // namespace

Result<Graph> find_rotary(Graph g, const PassOptions& options) {
  const Uses uses(g);
  std::vector<int> group(g.nodes.size(), -1);
  std::vector<Node> fused;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const std::vector<int> parts = Finder(g, uses).match(int(n));
    if (parts.empty()) continue;
    std::vector<const Node*> nodes;
    for (int p : parts) nodes.push_back(&g.nodes[size_t(p)]);
    Node rotation = make_fused(g, nodes, nodes.back()->outputs, "rotary", nodes.back()->name);
    if (options.has_kernel && !options.has_kernel(g, rotation)) continue;
    for (int p : parts) group[size_t(p)] = int(fused.size());
    fused.push_back(std::move(rotation));
  }
  replace_by_fused(g, group, std::move(fused));
  return g;
}

}  // namespace tenon
