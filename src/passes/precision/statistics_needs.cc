// Numbers that are tiny by nature. A variance may be 1e-8 and its guard 1e-12, where fp16 has 6e-8 and then 0: dividing by
// them gives infinity. So a chain of statistics that no norm was recognised in stays float32 whole: the square, the
// Reduce, the guard, the root, and the node that brings the result back to the data.
//
//   %q = Mul(%d, %d)   %m = ReduceMean(%q)   %e = Add(%m, 1e-12)   %s = Sqrt(%e)   %y = Div(%d, %s)
#include "passes/precision/float_needs.h"

#include <algorithm>
#include <cmath>

#include "passes/known.h"

namespace tenon {

// How many elementwise nodes may stand between a reduction and the root.
static constexpr int kFar = 8;

namespace {

bool is_root(const Graph& g, const Node& node) {
  if (is_op(node, "Sqrt")) return true;
  if (!is_op(node, "Pow")) return false;
  const auto exponent = single_value(g, node.inputs[1]);
  return exponent && (*exponent < 0 || std::fabs(*exponent) == 0.5);
}

bool is_reduction(const Node& node) {
  return node.op->name.starts_with("Reduce") && !is_op(node, "ReduceMax") && !is_op(node, "ReduceMin");
}

// The one input that is no constant; kNoValue where there are more.
ValueId only_data(const Graph& g, const Node& node) {
  ValueId out = kNoValue;
  for (ValueId v : node.inputs) {
    if (v == kNoValue || g.is_constant(v) || v == out) continue;
    if (out != kNoValue) return kNoValue;
    out = v;
  }
  return out;
}

bool is_step(const Node& node) { return node.op->scalar != nullptr || node.op->view; }

class Statistics {
 public:
  Statistics(const Graph& g, DType low, FloatNeeds& needs) : g_(g), uses_(g), low_(low), needs_(needs) {}

  void run() {
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      const Node& node = g_.nodes[n];
      if (is_root(g_, node)) {
        std::set<int> chain{int(n)};
        if (!back_to_reduction(node.inputs[0], chain, kFar)) continue;
        for (int k : chain) keep(k, cat("statistics for ", describe(node)));
        forward(node.outputs[0], cat("statistics of ", describe(node)));
      } else if (has_tiny_constant(node)) {
        keep(int(n), cat("its constant is smaller than ", name(low_), " holds well"));
        forward(node.outputs[0], cat("guarded by ", describe(node)));
      }
    }
  }

 private:
  // Backward through guards, factors and differences (mean of squares less square of mean) to reductions and, behind them,
  // the square. False: none is found on the way.
  bool back_to_reduction(ValueId v, std::set<int>& chain, int steps) const {
    const int p = v == kNoValue || steps == 0 ? -1 : uses_.producer(v);
    if (p < 0) return false;
    const Node& node = g_.nodes[size_t(p)];
    if (is_reduction(node)) {
      chain.insert(p);
      const int square = uses_.producer(node.inputs[0]);
      if (square >= 0 && is_step(g_.nodes[size_t(square)]) && only_data(g_, g_.nodes[size_t(square)]) != kNoValue) chain.insert(square);
      return true;
    }
    bool found = false;
    if (is_step(node))
      for (ValueId in : std::set<ValueId>(node.inputs.begin(), node.inputs.end())) found = back_to_reduction(in, chain, steps - 1) || found;
    if (found) chain.insert(p);
    return found;
  }

  // What is made of a small number, up to the first node that reads other data too: there it becomes ordinary.
  void forward(ValueId v, const std::string& why) {
    for (int user : uses_.of(v)) {
      const Node& node = g_.nodes[size_t(user)];
      if (!is_step(node) || needs_.nodes[size_t(user)]) continue;
      keep(user, why);
      if (only_data(g_, node) == v) forward(node.outputs[0], why);
    }
  }

  // A constant operand that the type would turn into zero, or leave a few bits of.
  bool has_tiny_constant(const Node& node) const {
    if (!node.op->scalar || !node.op->domain.empty()) return false;
    for (ValueId v : node.inputs) {
      if (v == kNoValue || g_.info(v).dtype != DType::f32) continue;
      const auto c = single_value(g_, v);
      if (c && *c != 0 && std::fabs(*c) < limits_of(low_).smallest) return true;
    }
    return false;
  }

  void keep(int n, const std::string& why) {
    FloatNeed& need = needs_.nodes[size_t(n)];
    if (!need) need = {"statistics", why};
  }

  const Graph& g_;
  const Uses uses_;
  const DType low_;
  FloatNeeds& needs_;
};

}  // namespace

void add_statistics_needs(const Graph& g, DType low, FloatNeeds& needs) { Statistics(g, low, needs).run(); }

}  // namespace tenon
