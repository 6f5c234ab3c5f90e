// Backward from where a number says which or where: a rounded box is another box, a rounded index another row, and of two
// scores that become equal the first is taken. So what such a number is computed by stays float32, up to the feature
// tensors, which a product, a pool or a norm makes or reads: these are sums over many numbers, whose errors cancel.
//
//   conv -> reshape -> exp -> mul by anchors -> NonMaxSuppression
//   fp16    fp32 . . . . . . . . . . . . . . .
#include "passes/precision/float_needs.h"

#include <algorithm>
#include <map>

#include "passes/known.h"

namespace tenon {

// Operators and their inputs that select, compare or place; empty: all float inputs.
static const std::map<std::string_view, std::vector<size_t>>& deciding_inputs() {
  static const std::map<std::string_view, std::vector<size_t>> table = {
      {"AffineGrid", {}}, {"ArgMax", {}}, {"ArgMin", {}}, {"Ceil", {}}, {"Cos", {}}, {"CumSum", {}}, {"DeformConv", {2}}, {"Equal", {}},
      {"Floor", {}}, {"Greater", {}}, {"GreaterOrEqual", {}}, {"GridSample", {1}}, {"Hardmax", {}}, {"Less", {}}, {"LessOrEqual", {}},
      {"MaxRoiPool", {1}}, {"Mod", {}}, {"NonMaxSuppression", {}}, {"NonZero", {}}, {"Range", {}}, {"RoiAlign", {1}}, {"Round", {}},
      {"Sin", {}}, {"TopK", {0}}, {"Unique", {}},
  };
  return table;
}

static bool is_feature_node(const Graph& g, const Node& node) {
  const std::string_view name = node.op->name;
  if (is_op(node, "MatMul")) {  // one of columns and rows is no sum: so angles are made of positions
    const ValueInfo& x = g.info(node.inputs[0]);
    return !x.ranked || x.shape.empty() || !x.shape.back().is(1);
  }
  return node.op->fusion == Fusion::out_elementwise_fusable || name.ends_with("Normalization") || name.ends_with("Pool");
}

// The inputs by which the node decides.
static std::vector<ValueId> decides_by(const Graph& g, const Node& node) {
  std::vector<ValueId> out;
  if (!node.op->domain.empty()) return out;
  const bool to_whole = is_op(node, "Cast") && !is_float(g.info(node.outputs[0]).dtype);
  const auto row = deciding_inputs().find(node.op->name);
  if (!to_whole && row == deciding_inputs().end()) return out;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const bool listed = to_whole || row->second.empty() || std::find(row->second.begin(), row->second.end(), i) != row->second.end();
    if (listed && node.inputs[i] != kNoValue && g.info(node.inputs[i]).dtype == DType::f32) out.push_back(node.inputs[i]);
  }
  return out;
}

namespace {

class Positions {
 public:
  explicit Positions(const Graph& g) : g_(g), feature_(g.values.size()), because_(g.values.size()), decides_(g.nodes.size()) {
    for (const Node& node : g.nodes) {
      if (!is_feature_node(g, node)) continue;
      const std::vector<ValueId> by = decides_by(g, node);
      for (ValueId v : node.inputs)
        if (v != kNoValue && std::find(by.begin(), by.end(), v) == by.end()) feature_[size_t(v)] = true;
      for (ValueId v : node.outputs)
        if (v != kNoValue) feature_[size_t(v)] = true;
    }
    for (size_t n = g.nodes.size(); n-- > 0;) visit(n);
  }

  // The node that decides by the value, or by what is made of it; null where there is none.
  const Node* because(ValueId v) const { return because_[size_t(v)]; }
  // Why the node stays float32; empty where it need not.
  std::string why(size_t n) const {
    if (decides_[n]) return "the last bits decide";
    for (ValueId v : g_.nodes[n].outputs)
      if (v != kNoValue && because(v)) return cat(describe(*because(v)), " decides by it");
    return "";
  }

 private:
  void visit(size_t n) {
    const Node& node = g_.nodes[n];
    if (has_body(node)) return visit_bodies(node);
    // A feature tensor decides as well in any type: it is compared as it is.
    for (ValueId v : decides_by(g_, node))
      if (!g_.is_constant(v)) decides_[n] = mark(v, node) || decides_[n];
    const Node* reason = nullptr;
    for (ValueId v : node.outputs)
      if (v != kNoValue && !reason) reason = because(v);
    if (reason)
      for (ValueId v : node.inputs) mark(v, *reason);
  }

  // Inputs of a body are those of the node, behind the condition of an If.
  void visit_bodies(const Node& node) {
    const size_t shift = is_op(node, "If");
    for (const auto& [name, value] : node.attrs) {
      const auto* body = std::get_if<GraphPtr>(&value);
      if (!body || !*body) continue;
      const Positions inside(**body);
      for (size_t i = 0; i < (*body)->inputs.size() && i + shift < node.inputs.size(); ++i)
        if (inside.because((*body)->inputs[i])) mark(node.inputs[i + shift], node);
    }
  }

  bool mark(ValueId v, const Node& reason) {
    if (v == kNoValue || g_.info(v).dtype != DType::f32 || feature_[size_t(v)]) return false;
    if (!because_[size_t(v)]) because_[size_t(v)] = &reason;
    return true;
  }

  const Graph& g_;
  std::vector<bool> feature_;
  std::vector<const Node*> because_;
  std::vector<bool> decides_;
};

}  // namespace

void add_position_needs(const Graph& g, FloatNeeds& needs) {
  const Positions positions(g);
  for (size_t n = 0; n < g.nodes.size(); ++n)
    if (const std::string why = positions.why(n); !needs.nodes[n] && !why.empty()) needs.nodes[n] = {"position", why};
}

}  // namespace tenon
