#include "passes/fusion/fuse_anchor.h"

#include <algorithm>

#include "passes/fusion/fused_node.h"
#include "passes/known.h"

namespace tenon {

namespace {

const char* anchor_kind(const Node& n) {
  if (!n.op->domain.empty() || n.outputs.size() != 1) return nullptr;
  if (n.op->name == "Conv") return "conv";
  if (n.op->name == "ConvTranspose") return "conv_transpose";
  if (n.op->name == "Gemm" || n.op->name == "MatMul") return "matmul";
  return nullptr;
}

class Chain {
 public:
  Chain(const Graph& g, const Uses& uses, const std::vector<int>& group, int anchor)
      : g_(g), uses_(uses), group_(group), parts_{anchor} {
    const Node& n = g.nodes[size_t(anchor)];
    out_ = n.outputs[0];
    const bool last = n.attrs.i("channels_last") || n.op->name == "MatMul";
    channel_ = last ? g.info(out_).shape.size() - 1 : 1;
  }

  // Takes in nodes as long as that goes; what is kept ends in one value that all else leads to.
  std::vector<int> grow() {
    constexpr size_t kMost = 24;
    size_t kept = 1;
    while (parts_.size() < kMost) {
      const int next = next_user();
      if (next < 0 || !fits(g_.nodes[size_t(next)])) break;
      parts_.push_back(next);
      if (open_values() == 1) kept = parts_.size();
    }
    parts_.resize(kept);
    return parts_;
  }

 private:
  bool has(int n) const { return std::find(parts_.begin(), parts_.end(), n) != parts_.end(); }
  bool inside(ValueId v) const { return v != kNoValue && uses_.producer(v) >= 0 && has(uses_.producer(v)); }
  ValueId result(int n) const { return g_.nodes[size_t(n)].outputs[0]; }

  // The first node outside that uses a value from inside. Every path that leaves the parts and comes back goes
  // through an earlier one than where it comes back, so taking them in order makes no cycle.
  int next_user() const {
    int next = -1;
    for (int p : parts_) {
      if (uses_.is_output(result(p))) {
        if (p == parts_.back()) return -1;
        continue;
      }
      for (int user : uses_.of(result(p)))
        if (!has(user) && (next < 0 || user < next)) next = user;
    }
    return next;
  }
  int open_values() const {
    int n = 0;
    for (int p : parts_) {
      const auto& users = uses_.of(result(p));
      n += uses_.is_output(result(p)) || std::any_of(users.begin(), users.end(), [&](int u) { return !has(u); });
    }
    return n;
  }

  bool fits(const Node& n) const {
    if (!is_pointwise(g_, n) || group_[size_t(&n - g_.nodes.data())] >= 0) return false;
    if (!same_shape(g_, n.outputs[0], out_) || !same_work(g_.info(n.outputs[0]).dtype)) return false;
    return std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return operand_fits(v); });
  }
  // The anchor's type, or one that its sums, which are float32, are rounded or widened to on the way out.
  bool same_work(DType type) const {
    const auto summed = [](DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16; };
    const DType anchor = g_.info(out_).dtype;
    return type == anchor || (summed(type) && summed(anchor));
  }
  bool operand_fits(ValueId v) const {
    if (v == kNoValue || inside(v) || same_shape(g_, v, out_)) return true;
    const ValueInfo& info = g_.info(v);
    const SymShape& out = g_.info(out_).shape;
    if (!info.ranked || info.shape.size() > out.size()) return false;
    for (size_t d = 0; d < info.shape.size(); ++d) {
      const size_t at = out.size() - info.shape.size() + d;
      if (!info.shape[d].is(1) && (at != channel_ || !(info.shape[d] == out[at]))) return false;
    }
    return true;
  }

  const Graph& g_;
  const Uses& uses_;
  const std::vector<int>& group_;
  std::vector<int> parts_;  // in order
  ValueId out_;
  size_t channel_;
};

}  // namespace

Result<Graph> fuse_anchor(Graph g, const PassOptions&) {
  const Uses uses(g);
  std::vector<int> group(g.nodes.size(), -1);
  std::vector<Node> fused;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const char* kind = anchor_kind(g.nodes[n]);
    const ValueInfo* out = kind ? &g.info(g.nodes[n].outputs[0]) : nullptr;
    if (!out || !out->ranked || out->shape.size() < 2 || !is_float(out->dtype)) continue;
    const std::vector<int> parts = Chain(g, uses, group, int(n)).grow();
    if (parts.size() < 2) continue;
    std::vector<const Node*> nodes;
    for (int p : parts) {
      group[size_t(p)] = int(fused.size());
      nodes.push_back(&g.nodes[size_t(p)]);
    }
    fused.push_back(make_fused(g, nodes, nodes.back()->outputs, kind, nodes[0]->name));
  }
  replace_by_fused(g, group, std::move(fused));
  return g;
}

}  // namespace tenon
