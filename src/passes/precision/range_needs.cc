#include "passes/precision/float_needs.h"

#include <algorithm>
#include <cmath>

#include "passes/known.h"
#include "passes/precision/intervals.h"

namespace tenon {

namespace {

// What is known of how far a value goes.
struct Reach {
  bool below = false, above = false;  // beyond the type on this side
  bool small = false;                 // all of it where the type has few bits or only zero
  std::string why;
};

std::string figure(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", v);
  return text;
}

class Ranges {
 public:
  Ranges(const Graph& g, DType low, const ValueRanges& observed) : g_(g), limit_(limits_of(low).largest), smallest_(limits_of(low).smallest), observed_(observed), bounds_(find_intervals(g)) {}

  // Intervals acquit: a value that cannot leave the type stays in it whatever the margin says. They convict where the numbers
  // in between do occur; a sum of worst cases behind a product does not say that.
  Reach reach(ValueId v) const {
    const Bounds& b = bounds_[size_t(v)];
    Reach out;
    if (const auto seen = observed_.find(g_.value(v).name); seen != observed_.end()) {
      const ValueRange& r = seen->second;
      out.small = r.largest() > 0 && r.largest() < smallest_;
      if (out.small) out.why = cat("was at most ", figure(r.largest()), " on golden inputs");
      out.below = b.low < -limit_ && r.low * kRangeMargin < -limit_;
      out.above = b.high > limit_ && r.high * kRangeMargin > limit_;
      if (out.below || out.above) {
        out.why = cat("reached ", figure(out.above && (!out.below || r.high > -r.low) ? r.high : r.low), " on golden inputs");
        return out;
      }
    }
    if (!b.reached || out.small) return out;
    out.below = std::isfinite(b.low) && b.low < -limit_;
    out.above = std::isfinite(b.high) && b.high > limit_;
    if (out.below || out.above) out.why = cat("may reach ", figure(out.above && (!out.below || b.high > -b.low) ? b.high : b.low));
    return out;
  }

 private:
  const Graph& g_;
  const double limit_, smallest_;
  const ValueRanges& observed_;
  const std::vector<Bounds> bounds_;
};

}  // namespace

void add_range_needs(const Graph& g, DType low, const ValueRanges& observed, FloatNeeds& needs) {
  const Ranges ranges(g, low, observed);
  const Uses uses(g);
  // Small numbers that are only added to larger ones may lose their last bits.
  std::vector<bool> addend(g.values.size());
  for (size_t n = g.nodes.size(); n-- > 0;) {
    for (ValueId v : g.nodes[n].outputs)
      if (v != kNoValue && !uses.is_output(v))
        addend[size_t(v)] = std::all_of(uses.of(v).begin(), uses.of(v).end(), [&](int user) {
          const Node& at = g.nodes[size_t(user)];
          const ValueId y = at.outputs.empty() ? kNoValue : at.outputs[0];
          if (y == kNoValue) return false;
          return is_op(at, "Add") || is_op(at, "Sub") ? !ranges.reach(y).small : (at.op->view || is_op(at, "Transpose")) && addend[size_t(y)];
        });
  }
  // Its results, if it moved, would be what it reads, cut off below.
  const auto cut_off = [&](size_t n, ValueId v) {
    if (!needs.saturates[n] || is_op(g.nodes[n], "Softmax") || uses.is_output(v)) return false;
    return !ranges.reach(v).above;
  };
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    const auto judge = [&](ValueId v, bool harmless_below) {
      if (needs.nodes[n] || v == kNoValue || g.info(v).dtype != DType::f32) return;
      const Reach r = ranges.reach(v);
      if (r.above || (r.small && !addend[size_t(v)]) || (r.below && !harmless_below)) needs.nodes[n] = {"range", r.why, v};
    };
    for (ValueId v : node.outputs) judge(v, v != kNoValue && cut_off(n, v));
    for (size_t i = 0; i < node.inputs.size(); ++i)
      // Weights are rounded one by one, and their largest stands for what is larger.
      if (node.inputs[i] != kNoValue && (i == 0 || node.op->fusion != Fusion::out_elementwise_fusable || !g.is_constant(node.inputs[i])))
        judge(node.inputs[i], needs.saturates[n] && is_score_input(g, node, i));
  }
}

}  // namespace tenon
