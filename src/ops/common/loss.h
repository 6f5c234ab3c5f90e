// What the losses share: the negative log likelihood of class indices.
#pragma once

#include "ops/op.h"

namespace tenon {

// Scores [N, C, d...], targets [N, d...], weights [C] if any: the loss is [N, d...], or a scalar where `reduction` says.
Status infer_loss(InferArgs& a);
// Writes the loss of log probabilities [N, C, d...] to output 0. Errors: a class out of range.
Status reference_nll(RefArgs& a, const std::vector<double>& log_prob);

}  // namespace tenon
