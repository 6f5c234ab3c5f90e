// What Softmax and LogSoftmax share.
#pragma once

#include "ops/op.h"

namespace tenon {

// Before opset 13 both worked on a matrix; rewrites such nodes.
Status upgrade_softmax_1(Upgrade& u);
Status infer_softmax(InferArgs& a);
// exp(x - max) / sum(exp(x - max)) along the attribute `axis`, or its logarithm.
Status reference_softmax(RefArgs& a, bool log);
// The same along the middle of [outer, n, inner].
std::vector<double> softmax_along(const std::vector<double>& x, int64_t outer, int64_t n, int64_t inner, bool log);

}  // namespace tenon
