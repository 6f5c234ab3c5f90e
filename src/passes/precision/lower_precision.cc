#include "passes/precision/lower_precision.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "passes/known.h"
#include "passes/precision/float_needs.h"

namespace tenon {

namespace {

const Param* param_at(const std::vector<Param>& params, size_t i) {
  if (i < params.size()) return &params[i];
  return !params.empty() && params.back().mode == Param::variadic ? &params.back() : nullptr;
}

class LowerPrecision {
 public:
  LowerPrecision(Graph g, DType low, const PassOptions& options)
      : g_(std::move(g)), low_(low), needs_(find_float_needs(g_, low, options)), kept_(options.kept), rounding_(options.rounding) {}

  Result<Graph> run() {
    add_rounding_needs();
    decide();
    std::vector<Node> nodes = std::move(g_.nodes);
    g_.nodes.clear();
    for (size_t n = 0; n < nodes.size(); ++n) {
      Node& node = nodes[n];
      if (moves_[n]) lower(node, needs_.saturates[n]);
      else if (needs_.nodes[n] && takes_low(node)) report(node, needs_.nodes[n]);
      for (ValueId& v : node.inputs) {
        if (v == kNoValue || !low_of_.contains(v) || g_.info(v).dtype != DType::f32) continue;
        if (!made_.contains(v)) restore(v);
      }
      g_.nodes.push_back(std::move(node));
    }
    for (ValueId v : g_.outputs)
      if (low_of_.contains(v) && !made_.contains(v)) restore(v);
    return std::move(g_);
  }

 private:
  // Whether the node can do its work in the low type: all its float32 operands may have it, and its float32 results follow
  // them.
  bool takes_low(const Node& node) const {
    if (has_body(node) || !node.op->domain.empty() || !node.op->deterministic) return false;
    std::string moving;  // type variables of operands that change
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (v == kNoValue || g_.info(v).dtype != DType::f32) continue;
      const Param* p = param_at(node.op->inputs, i);
      if (!p || p->types.contains(low_)) {
        if (p && p->type_var) moving += p->type_var;
        continue;
      }
      if (p->types.contains(DType::f32) && !shared(*node.op, p->type_var)) continue;  // such as Resize's scales: stays
      return false;
    }
    if (moving.empty()) return is_op(node, "Cast") && node.attrs.i("to") == int64_t(DType::f32);
    if (is_op(node, "Cast")) return true;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue || g_.info(node.outputs[i]).dtype != DType::f32) continue;
      const Param* p = param_at(node.op->outputs, i);
      if (!p || moving.find(p->type_var) == std::string::npos) return false;
    }
    return true;
  }

  void add_rounding_needs() {
    if (!rounding_) return;
    std::vector<Rounds> candidates;
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      const bool can = !needs_.nodes[n] && !needs_.saturates[n] && !g_.nodes[n].op->view && takes_low(g_.nodes[n]);
      candidates.push_back(!can ? Rounds::no : needs_.forced[n] ? Rounds::must : Rounds::may);
    }
    add_measured_needs(rounding_(g_, candidates), needs_.nodes);
  }

  // Which nodes move to the low type, from the last to the first: what only hands on its input, or makes it larger, and is read in
  // float32 alone, would round for nothing. That is the rule `result` where there is work to do.
  void decide() {
    const Uses uses(g_);
    moves_.assign(g_.nodes.size(), false);
    for (size_t n = g_.nodes.size(); n-- > 0;) {
      const Node& node = g_.nodes[n];
      if (needs_.nodes[n] || !takes_low(node)) continue;
      const bool read_low = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
        return v != kNoValue && std::any_of(uses.of(v).begin(), uses.of(v).end(), [&](int user) { return moves_[size_t(user)]; });
      });
      if (node.op->view && !read_low) continue;
      if (is_op(node, "Resize") && !read_low && guess_bytes(g_.info(node.outputs[0])) > guess_bytes(g_.info(node.inputs[0])))
        needs_.nodes[n] = {"result", "its result, larger than its input, is read in float32"};
      else
        moves_[n] = true;
    }
  }

  // Whether a result has this type variable too.
  static bool shared(const Op& op, char type_var) {
    return type_var && std::any_of(op.outputs.begin(), op.outputs.end(), [&](const Param& p) { return p.type_var == type_var; });
  }

  void report(const Node& node, const FloatNeed& need) const {
    if (kept_) kept_(kept_float(g_, node, need));
  }

  void lower(Node& node, bool saturates) {
    if (is_op(node, "Cast")) {
      if (node.attrs.i("to") == int64_t(DType::f32)) node.attrs.set("to", int64_t(low_));
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId& v = node.inputs[i];
      if (v == kNoValue || g_.info(v).dtype != DType::f32) continue;
      const Param* p = param_at(node.op->inputs, i);
      if (!p || p->types.contains(low_)) v = saturates && is_score_input(g_, node, i) ? masked_form(v) : low_form(v);
    }
    for (ValueId& v : node.outputs) {
      if (v == kNoValue || g_.info(v).dtype != DType::f32) continue;
      if (is_op(node, "Cast") && node.attrs.i("to") != int64_t(low_)) continue;
      ValueInfo info = g_.info(v);
      info.dtype = low_;
      const ValueId low = g_.add_value(cat(g_.value(v).name, ".", name(low_)), std::move(info));
      low_of_[v] = low;
      born_low_.insert(v);
      v = low;
    }
  }

  // The value in the low type: a rounded constant, what a lowered node made, or a Cast.
  ValueId low_form(ValueId v) {
    if (auto it = low_of_.find(v); it != low_of_.end()) return it->second;
    const std::string wanted = cat(g_.value(v).name, ".", name(low_));
    if (g_.is_constant(v)) return low_of_[v] = g_.add_constant(wanted, rounded(g_.constant(v)));
    ValueInfo info = g_.info(v);
    info.dtype = low_;
    const ValueId low = g_.add_value(wanted, std::move(info));
    made_.insert(v);  // its float32 form is there
    cast(v, low, low_);
    return low_of_[v] = low;
  }

  // As low_form, for what only a Softmax sees: what is far below comes in as kMaskFloor. As minus infinity, to which it would
  // be rounded, a row without anything else would become NaN.
  ValueId masked_form(ValueId v) {
    if (auto it = masked_of_.find(v); it != masked_of_.end()) return it->second;
    if (born_low_.contains(v)) return low_of_[v];
    if (g_.is_constant(v)) return masked_of_[v] = g_.add_constant(cat(g_.value(v).name, ".mask.", name(low_)), rounded(g_.constant(v), kMaskFloor));
    static const Op* const op = find_op("", "Max");
    const ValueId cut = g_.add_value(cat(g_.value(v).name, ".mask"), g_.info(v)), floor = mask_floor();
    g_.add_node(op, cat("floor of ", g_.value(v).name), {}, {v, floor}, {cut});
    g_.nodes.back().origins.clear();
    ValueInfo info = g_.info(v);
    info.dtype = low_;
    const ValueId low = g_.add_value(cat(g_.value(v).name, ".mask.", name(low_)), std::move(info));
    cast(cut, low, low_);
    return masked_of_[v] = low;
  }

  ValueId mask_floor() {
    if (mask_floor_ == kNoValue) mask_floor_ = g_.add_constant("mask_floor", Tensor::scalar_float(kMaskFloor));
    return mask_floor_;
  }

  // The float32 form of what a lowered node made.
  void restore(ValueId v) {
    made_.insert(v);
    if (!g_.is_constant(v)) cast(low_of_[v], v, DType::f32);
  }

  void cast(ValueId from, ValueId to, DType type) {
    static const Op* const op = find_op("", "Cast");
    g_.add_node(op, cat("cast of ", g_.value(from).name), {{"to", int64_t(type)}}, {from}, {to});
    g_.nodes.back().origins.clear();
  }

  Tensor rounded(const Tensor& t) const { return rounded(t, -limits_of(low_).largest); }
  // Finite numbers are cut off at `least` and at the largest that the type has.
  Tensor rounded(const Tensor& t, double least) const {
    Tensor out = Tensor::make(low_, t.shape());
    for (int64_t i = 0, n = t.size(); i < n; ++i) {
      const double x = t.at(i);
      out.set(i, std::isfinite(x) ? std::clamp(x, least, limits_of(low_).largest) : x);
    }
    return out;
  }

  Graph g_;
  const DType low_;
  FloatNeeds needs_;
  std::vector<bool> moves_;  // by node of the given graph
  const std::function<void(const KeptFloat&)> kept_;
  const decltype(PassOptions::rounding) rounding_;
  std::map<ValueId, ValueId> low_of_;  // float32 value -> its low form
  std::map<ValueId, ValueId> masked_of_;  // float32 value -> its masked form, where that is another
  ValueId mask_floor_ = kNoValue;
  std::set<ValueId> born_low_;         // values that a lowered node made
  std::set<ValueId> made_;             // values with a low form whose float32 form exists too
};

// tf32: nothing moves to another type; products that have to stay float32 say so.
Result<Graph> keep_products(Graph g, const PassOptions& options) {
  FloatNeeds found = find_product_needs(g, options);
  std::vector<FloatNeed>& needs = found.nodes;
  std::vector<bool> products;
  std::vector<Rounds> candidates;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    products.push_back(product_factors(g, g.nodes[n]) > 0 && g.info(g.nodes[n].inputs[0]).dtype == DType::f32);
    candidates.push_back(!products[n] || needs[n] ? Rounds::no : found.forced[n] ? Rounds::must : Rounds::may);
  }
  if (options.rounding && std::any_of(candidates.begin(), candidates.end(), [](Rounds r) { return r != Rounds::no; }))
    add_measured_needs(options.rounding(g, candidates), needs);
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (!products[n] || !needs[n]) continue;
    g.nodes[n].attrs.set("exact", int64_t(1));
    if (options.kept) options.kept(kept_float(g, g.nodes[n], needs[n]));
  }
  return g;
}

}  // namespace

Result<Graph> lower_precision(Graph g, const PassOptions& options) {
  if (options.precision == "tf32") return keep_products(std::move(g), options);
  const DType low = options.precision == "fp16" ? DType::f16 : options.precision == "bf16" ? DType::bf16 : DType::none;
  if (low == DType::none) return g;
  return LowerPrecision(std::move(g), low, options).run();
}

}  // namespace tenon
