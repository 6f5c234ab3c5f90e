// NegativeLogLikelihoodLoss: loss = -weight[t] * x[n, t, ...] for the class t of each element; summed or averaged.
#include "ops/common/loss.h"

namespace tenon::ops {

extern const Op op_negative_log_likelihood_loss{
    .name = "NegativeLogLikelihoodLoss",
    .version = 22,
    .compatible_from = 12,
    .inputs = {{"input", kFloats}, {"target", kIndex, 'I'}, {"weight", kFloats, 'T', Param::optional}},
    .outputs = {{"loss"}},
    .attrs = {optional_attr("ignore_index", AttrKind::i), {"reduction", "mean"}},
    .infer = infer_loss,
    .reference = [](RefArgs& a) { return reference_nll(a, a.x(0).to_doubles()); },
    .tolerance = {.f32 = 16},
    .samples = {{{{{3, 5}}, {{3}, DType::i64, 0, 4}}},
                {{{{2, 3, 4}}, {{2, 4}, DType::i64, 0, 2}, {{3}}}, {{"reduction", "none"}}}},
};

}  // namespace tenon::ops
