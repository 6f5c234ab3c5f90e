// What must stay float32 where the rest moves to fp16 or bf16, or has its products in tf32, and why. Four rules, three of them in files of their own, and
// the pins of the user:
//
//   pinned       PassOptions::pin_fp32 names the node (what pin_low names the others do not hold)
//   range        a number is beyond what the type holds (range_needs.cc): seen on golden inputs, or told by intervals
//   position     which element, index or place is taken hangs on the last bits (position_needs.cc)
//   statistics   sums, variances and guards that are tiny by nature (statistics_needs.cc)
//   rounding     with the nodes that the others leave, the answers would move too far (PassOptions::rounding measures)
//   result       a larger result than operand, and nothing reads it in the low type (lower_precision.cc, after all others)
#pragma once

#include "ir/graph.h"
#include "passes/pipeline.h"

namespace tenon {

// What a type holds: the largest finite number, and the smallest with all bits of its fraction.
struct TypeLimits {
  double largest, smallest;
};
TypeLimits limits_of(DType low);  // of f16 and bf16

// Whether a pattern ("*" and "?") names the node, one of the ONNX nodes that it does the work of, its operator or a result.
bool is_pinned(const Graph& g, const Node& node, const std::string& pattern);

// A node that stays, and the values that are the reason where it is not the node itself.
struct FloatNeed {
  std::string rule, why;                // empty: the node may move
  ValueId value = kNoValue;             // the value that `why` speaks of; kNoValue: the first result
  explicit operator bool() const { return !rule.empty(); }
};

struct FloatNeeds {
  std::vector<FloatNeed> nodes;         // as graph.nodes
  std::vector<bool> forced;             // by node: PassOptions::pin_low names it, and no need is left
  // Nodes whose inputs may be cut off below at kMaskFloor: only a Softmax sees what becomes of them.
  std::vector<bool> saturates;
};

FloatNeeds find_float_needs(const Graph& g, DType low, const PassOptions& options);
// The same for tf32: float32's range is all there, so pins and positions are what matters.
FloatNeeds find_product_needs(const Graph& g, const PassOptions& options);
// The rule `rounding`: what PassOptions::rounding has answered.
void add_measured_needs(const std::vector<double>& moved, std::vector<FloatNeed>& needs);
KeptFloat kept_float(const Graph& g, const Node& node, const FloatNeed& need);

// ---- the rules ---------------------------------------------------------------------------------------------------

// Each fills in the nodes that have no need yet.
void add_range_needs(const Graph& g, DType low, const ValueRanges& observed, FloatNeeds& needs);
void add_position_needs(const Graph& g, FloatNeeds& needs);
void add_statistics_needs(const Graph& g, DType low, FloatNeeds& needs);

// A masked score: e to this is 0, and a few of them can be added, with a score, without leaving fp16.
constexpr double kMaskFloor = -16384;
// How many times larger than on golden inputs numbers may be on others.
constexpr double kRangeMargin = 4;

// By node: whether its inputs are masked scores, or masks for them, so that numbers below kMaskFloor all mean the same. So
// it is for Softmax, and for Add, Where, Max and movement of data whose results go nowhere else.
std::vector<bool> find_mask_nodes(const Graph& g);
// Whether input i of a mask node is scores, not a condition or an index.
bool is_score_input(const Graph& g, const Node& node, size_t i);

}  // namespace tenon
