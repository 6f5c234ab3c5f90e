// SoftmaxCrossEntropyLoss: the negative log likelihood of LogSoftmax(scores) along the class dimension 1.
#include "ops/common/loss.h"
#include "ops/common/softmax.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  TRY(infer_loss(a));
  if (a.ranked(0)) a.set(1, a.dtype(0), a.shape(0));
  else a.set_unranked(1, a.dtype(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  int64_t plane = 1;
  for (int64_t d = 2; d < x.rank(); ++d) plane *= x.dim(d);
  const std::vector<double> log_prob = softmax_along(x.to_doubles(), x.dim(0), x.dim(1), plane, true);
  if (a.wants(1)) store_doubles(x.dtype(), a.y(1).data(), 0, x.size(), log_prob.data());
  return reference_nll(a, log_prob);
}

extern const Op op_softmax_cross_entropy_loss{
    .name = "SoftmaxCrossEntropyLoss",
    .version = 13,
    .compatible_from = 12,
    .inputs = {{"scores", kFloats}, {"labels", kIndex, 'I'}, {"weights", kFloats, 'T', Param::optional}},
    .outputs = {{"output"}, {"log_prob", kFloats, 'T', Param::optional}},
    .attrs = {optional_attr("ignore_index", AttrKind::i), {"reduction", "mean"}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 16},
    .samples = {{{{{3, 5}}, {{3}, DType::i64, 0, 4}}, {}, 2},
                {{{{2, 3, 4}}, {{2, 4}, DType::i64, 0, 2}, {{3}}}, {{"reduction", "none"}}}},
};

}  // namespace tenon::ops
