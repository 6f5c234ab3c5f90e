#include "lowering/copies.h"

#include <algorithm>
#include <map>

#include "engine/step_kind.h"

namespace tenon {

namespace {

class Copies {
 public:
  Copies(Graph g, std::vector<StepPlan> steps, std::vector<bool> on_device, const std::set<ValueId>& made_there)
      : in_(std::move(g)), steps_(std::move(steps)), on_device_(std::move(on_device)), made_there_(made_there) {}

  Lowered run() {
    place_views();
    out_ = in_;
    out_.nodes.clear();
    for (size_t n = 0; n < in_.nodes.size(); ++n) {
      Node node = in_.nodes[n];
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        ValueId& v = node.inputs[i];
        if (v == kNoValue || in_.is_constant(v) || has(steps_[n].image.unread_inputs, i) || (i > 0 && passes_through(node))) continue;
        const bool wanted = reads_on_device(n, i);
        if (at_device_[size_t(v)] != wanted) v = copy_of(v, wanted);
      }
      rest_.push_back(std::move(node));
      rest_steps_.push_back(std::move(steps_[n]));
    }
    out_.nodes = std::move(first_);
    out_.nodes.insert(out_.nodes.end(), std::make_move_iterator(rest_.begin()), std::make_move_iterator(rest_.end()));
    std::vector<StepPlan> steps(out_.nodes.size() - rest_steps_.size());
    for (StepPlan& s : rest_steps_) steps.push_back(std::move(s));
    std::vector<bool> outputs;
    for (ValueId v : out_.outputs) outputs.push_back(at_device_[size_t(v)]);
    return {std::move(out_), std::move(steps), std::move(outputs)};
  }

 private:
  // Whether node n reads its input i in the device's memory.
  bool reads_on_device(size_t n, size_t i) const {
    return on_device_[n] && !has(steps_[n].image.host_inputs | steps_[n].image.unread_inputs, i);
  }
  static bool has(uint32_t set, size_t i) { return i < 32 && set >> i & 1; }

  // A view stands where its input is; a view of a graph input, which can be brought to either place, where its users
  // are; a view of a constant on the host.
  void place_views() {
    std::vector<bool> wanted(in_.values.size());
    for (size_t n = in_.nodes.size(); n-- > 0;) {
      const Node& node = in_.nodes[n];
      if (step_kind(node) == StepKind::view) on_device_[n] = wanted[size_t(node.outputs[0])];
      for (size_t i = 0; i < node.inputs.size(); ++i)
        if (node.inputs[i] != kNoValue && reads_on_device(n, i)) wanted[size_t(node.inputs[i])] = true;
    }
    std::vector<bool> made(in_.values.size());
    at_device_.assign(in_.values.size(), false);
    for (size_t n = 0; n < in_.nodes.size(); ++n) {
      if (step_kind(in_.nodes[n]) == StepKind::view) {
        const ValueId from = in_.nodes[n].inputs[0];
        if (in_.is_constant(from)) on_device_[n] = false;
        else if (made[size_t(from)]) on_device_[n] = at_device_[size_t(from)];
      }
      for (ValueId v : in_.nodes[n].outputs)
        if (v != kNoValue) made[size_t(v)] = true, at_device_[size_t(v)] = on_device_[n] || made_there_.contains(v);
    }
  }

  ValueId copy_of(ValueId v, bool to_device) {
    if (auto it = copies_.find(v); it != copies_.end()) return it->second;
    static const Op* const op = find_op("tenon", "Copy");
    const char* to = to_device ? "device" : "host";
    const ValueId copy = out_.add_value(cat(out_.value(v).name, "@", to), out_.info(v));
    Node node;
    node.op = op;
    node.name = cat("copy of ", out_.value(v).name);
    node.attrs.set("to", std::string(to));
    node.inputs = {v};
    node.outputs = {copy};
    const bool is_input = std::find(in_.inputs.begin(), in_.inputs.end(), v) != in_.inputs.end();
    if (is_input) {
      first_.push_back(std::move(node));
    } else {
      rest_.push_back(std::move(node));
      rest_steps_.emplace_back();
    }
    return copies_[v] = copy;
  }

  const Graph in_;
  std::vector<StepPlan> steps_;
  std::vector<bool> on_device_, at_device_;
  const std::set<ValueId>& made_there_;
  Graph out_;
  std::vector<Node> first_, rest_;  // copies of graph inputs; the other nodes
  std::vector<StepPlan> rest_steps_;
  std::map<ValueId, ValueId> copies_;
};

}  // namespace

Lowered insert_copies(Graph g, std::vector<StepPlan> steps, const std::vector<bool>& on_device, const std::set<ValueId>& made_there) {
  return Copies(std::move(g), std::move(steps), on_device, made_there).run();
}

}  // namespace tenon
