// com.microsoft's operators on quantised tensors: import writes each as DequantizeLinear, the same on floats,
// and QuantizeLinear, for which passes and backends have more than for a dozen operators of their own.
#pragma once

#include <climits>

#include "ops/op.h"

namespace tenon {

// `compatible_from` of an operator that import rewrites whatever the opset: no graph has a node of it.
constexpr int kRewritten = INT_MAX;
Status infer_rewritten(InferArgs& a);
Status reference_rewritten(RefArgs& a);

// The node's input `index`, "" where it is absent.
std::string input_of(const Upgrade& u, size_t index);
// Puts a DequantizeLinear of these inputs before the node and tells its result's name. A scale for each index
// is for `axis`.
std::string dequantize(Upgrade& u, size_t value, size_t scale, size_t zero_point, int64_t axis = 1);
// Puts a QuantizeLinear right behind the node, to the type of `like` where it has no zero point.
void quantize_output(Upgrade& u, const std::string& scale, const std::string& zero_point,
                     const std::string& like);

// All of it for inputs that are `operands` times a value, its scale and its zero point, then the output's
// scale and zero point.
Status rewrite_qlinear(Upgrade& u, const char* op_type, size_t operands);

// Sets the operator between Transposes that bring [N, spatial..., C] to [N, C, spatial...] and back, where
// the attribute channels_last says so; removes the attribute. What was put behind the node stays behind them.
Status rewrite_channels_last(Upgrade& u, const ValueInfo& x);

}  // namespace tenon
