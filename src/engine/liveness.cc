#include "engine/liveness.h"

#include <algorithm>

#include "engine/step_kind.h"

namespace tenon {

namespace {

class Placing {
 public:
  Placing(const Graph& g, const KnownValues& known)
      : g_(g),
        known_(known),
        links_(g.values.size()),
        movable_(g.values.size()),
        strides_(g.values.size()),
        reads_(g.values.size()) {
    for (size_t v = 0; v < links_.size(); ++v) links_[v].in = ValueId(v);
    for (const Node& node : g.nodes)
      for (ValueId v : node.inputs)
        if (v != kNoValue) ++reads_[size_t(v)];
    for (ValueId v : g.outputs) ++reads_[size_t(v)];
    out_.placed.assign(g.nodes.size(), false);
    out_.copied.resize(g.nodes.size());
  }

  Liveness run() {
    look_at_views();
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      const Node& node = g_.nodes[n];
      const StepKind kind = step_kind(node);
      if (kind == StepKind::view) {
        links_[size_t(node.outputs[0])] = {.in = node.inputs[0], .shown = true};
        continue;
      }
      if (kind == StepKind::kernel && show_runs(node)) {
        out_.placed[n] = true;
        continue;
      }
      for (ValueId v : node.outputs)
        if (v != kNoValue)
          movable_[size_t(v)] =
              kind != StepKind::dims && !output_[size_t(v)] && known_.shape && known_.shape(v);
      if (kind != StepKind::kernel) continue;
      if (node.outputs.size() == 1) strides_[size_t(node.outputs[0])] = can_stride(n);
      join_parts(n);
    }
    resolve();
    find_lives();
    return std::move(out_);
  }

 private:
  // What a value stands in: itself, if nothing.
  struct Link {
    ValueId in = kNoValue;
    int64_t offset = 0, pitch = 0;
    bool whole = true;
    bool shown = false;  // it is part of what is there already; else it is written where it stands
  };

  Link find(ValueId v) const {
    Link at{.in = v};
    while (links_[size_t(at.in)].in != at.in) {
      const Link& l = links_[size_t(at.in)];
      at = {l.in, at.offset + l.offset, std::max(at.pitch, l.pitch), at.whole && l.whole};
    }
    return at;
  }

  // What views alone tell: outputs, which have memory of the caller's and do not stand in anything else, how
  // long a value is read, and how much of it is cut out of it as runs.
  void look_at_views() {
    viewed_.resize(g_.values.size());
    for (size_t v = 0; v < viewed_.size(); ++v) viewed_[v] = ValueId(v);
    output_.resize(viewed_.size());
    last_read_.assign(viewed_.size(), -1);
    cut_.assign(viewed_.size(), 0);
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      const Node& node = g_.nodes[n];
      if (step_kind(node) == StepKind::view)
        viewed_[size_t(node.outputs[0])] = viewed_[size_t(node.inputs[0])];
      for (ValueId v : node.inputs)
        if (v != kNoValue) last_read_[size_t(viewed_[size_t(v)])] = int(n);
      if (!runs_of_input(g_, node, known_)) continue;
      for (ValueId v : node.outputs) cut_[size_t(viewed_[size_t(node.inputs[0])])] += bytes(v);
    }
    for (ValueId v : g_.outputs) {
      output_[size_t(viewed_[size_t(v)])] = true;
      last_read_[size_t(viewed_[size_t(v)])] = int(g_.nodes.size());
    }
  }

  // A run keeps all of what it is cut from alive. That is no loss where most of it is cut out, or it lives as
  // long anyway; else the run is small, and copied soon.
  bool worth_keeping(const Node& node) const {
    const auto x = size_t(viewed_[size_t(node.inputs[0])]);
    return 2 * cut_[x] >= bytes(node.inputs[0]) ||
           std::all_of(node.outputs.begin(), node.outputs.end(),
                       [&](ValueId v) { return last_read_[size_t(v)] <= last_read_[x]; });
  }

  int64_t bytes(ValueId v) const { return byte_size(g_.info(v).dtype, num_elements(*known_.shape(v))); }

  // Outputs that are runs of the input. Constants stand in either memory, so that what is cut from them is
  // made.
  bool show_runs(const Node& node) {
    const auto runs = runs_of_input(g_, node, known_);
    if (!runs || g_.is_constant(find(node.inputs[0]).in) || !worth_keeping(node)) return false;
    for (size_t k = 0; k < runs->size(); ++k)
      if ((*runs)[k] % kOperandAlignment && bytes(node.outputs[k])) return false;
    for (size_t k = 0; k < runs->size(); ++k) {
      const ValueId v = node.outputs[k];
      links_[size_t(v)] = {node.inputs[0], (*runs)[k], 0,
                           (*runs)[k] == 0 && bytes(v) == bytes(node.inputs[0]), true};
    }
    return true;
  }

  // Whether a step is bound before the run, to a kernel that writes rows apart.
  bool can_stride(size_t n) const {
    if (!known_.strides_output || !known_.strides_output(n)) return false;
    return std::all_of(g_.nodes[n].inputs.begin(), g_.nodes[n].inputs.end(),
                       [&](ValueId v) { return v == kNoValue || known_.shape(v); });
  }

  // Whether the step that makes root r can write it as rows of that many bytes, which lie apart: nobody else
  // may see them.
  bool rows_may_part(ValueId v, ValueId r, int64_t row_bytes) const {
    const Shape& shape = *known_.shape(r);
    if (!strides_[size_t(r)] || shape.empty() || byte_size(g_.info(r).dtype, shape.back()) != row_bytes)
      return false;
    for (;; v = links_[size_t(v)].in) {
      if (reads_[size_t(v)] != 1) return false;
      if (v == r) return true;
    }
  }

  // Inputs that stand within the output: roots that steps write move there. It has to be worth it, as the
  // rest is copied one by one.
  void join_parts(size_t n) {
    const Node& node = g_.nodes[n];
    const auto columns = columns_of_output(g_, node, known_);
    if (!columns) return;
    constexpr size_t kMostCopies = 4;
    const ValueId y = node.outputs[0];
    const int64_t rows = columns->rows, pitch = rows > 1 ? columns->row_bytes : 0;
    std::vector<std::pair<ValueId, int64_t>> moved;
    std::vector<CopiedPart> copied;
    int64_t to_copy = 0;
    for (size_t i = 0; i < columns->begin.size(); ++i) {
      const ValueId v = node.inputs[i];
      const int64_t size = bytes(v), offset = columns->begin[i];
      if (size == 0) continue;
      const Link at = find(v);
      const bool taken = std::any_of(moved.begin(), moved.end(), [&](auto& m) { return m.first == at.in; });
      if (at.whole && movable_[size_t(at.in)] && !taken &&
          (rows > 1 ? rows_may_part(v, at.in, size / rows) : offset % kOperandAlignment == 0)) {
        moved.emplace_back(at.in, offset);
      } else {
        copied.push_back({i, offset, size / rows, rows, pitch});
        to_copy += size;
      }
    }
    if (2 * to_copy > bytes(y) || copied.size() > kMostCopies) return;
    if (rows > 1 && !copied.empty() && !known_.copies_rows) return;
    for (auto [r, offset] : moved) links_[size_t(r)] = {y, offset, pitch, bytes(r) == bytes(y), false};
    out_.placed[n] = true;
    out_.copied[n] = std::move(copied);
  }

  void resolve() {
    for (size_t v = 0; v < links_.size(); ++v) {
      const Link at = find(ValueId(v));
      out_.root.push_back(at.in);
      out_.offset.push_back(at.offset);
      out_.pitch.push_back(at.pitch);
      out_.whole.push_back(at.whole);
    }
  }

  void find_lives() {
    out_.last_use.assign(g_.values.size(), -1);
    out_.defined_at.assign(g_.values.size(), -1);
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      for (ValueId v : g_.nodes[n].inputs)
        if (v != kNoValue) out_.last_use[size_t(out_.root[size_t(v)])] = int(n);
      for (ValueId v : g_.nodes[n].outputs) {
        if (v == kNoValue || links_[size_t(v)].shown) continue;
        const auto r = size_t(out_.root[size_t(v)]);
        if (out_.defined_at[r] < 0) out_.defined_at[r] = int(n);
        out_.last_use[r] = std::max(out_.last_use[r], int(n));
      }
    }
    for (ValueId v : g_.outputs) out_.last_use[size_t(out_.root[size_t(v)])] = int(g_.nodes.size());
  }

  const Graph& g_;
  const KnownValues& known_;
  std::vector<Link> links_;
  std::vector<bool> movable_;    // of a root: its memory is the plan's to choose
  std::vector<bool> strides_;    // of a root: its rows may be apart
  std::vector<int> reads_;       // of a value: by nodes, and as an output
  std::vector<ValueId> viewed_;  // of a value: what it is a view of
  std::vector<bool> output_;     // of what has views: one of them is an output
  std::vector<int> last_read_;   // of what has views: the last step that reads one of them
  std::vector<int64_t> cut_;     // of what has views: bytes of its runs
  Liveness out_;
};

}  // namespace

Liveness find_liveness(const Graph& g, const KnownValues& known) {
  return Placing(g, known).run();
}

}  // namespace tenon
