// com.microsoft GroupNorm: GroupNormalization of [N, spatial..., C] (or channels first), then SiLU where `activation` is 1.
#include <cmath>

#include "ops/common/norm.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t groups = a.attrs.i("groups");
  if (groups < 1) return invalid_model("attribute 'groups' is ", groups, ", it must be positive");
  if (a.attrs.i("activation") != 0 && a.attrs.i("activation") != 1)
    return invalid_model("attribute 'activation' is ", a.attrs.i("activation"), ", it must be 0 or 1");
  if (!a.ranked(0)) return infer_same(a);
  if (a.rank(0) < 2) return invalid_model("needs an input of rank 2 or more, not ", a.rank(0));
  const Dim& channels = a.attrs.i("channels_last") ? a.shape(0).back() : a.shape(0)[1];
  if (channels.is_const() && channels.constant() % groups)
    return invalid_model(channels.constant(), " channels do not divide into ", groups, " groups");
  TRY(check_vector(a, 1, channels));
  TRY(check_vector(a, 2, channels));
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  if (x.size() == 0) return {};
  const bool last = a.attrs.i("channels_last") != 0;
  std::vector<double> values = read_channels_first(x, last);
  normalize_rows(values, x.dim(0) * a.attrs.i("groups"), a.attrs.f("epsilon"));
  scale_channels(values, x.dim(0), a.x(1).to_doubles(), a.x(2).to_doubles());
  if (a.attrs.i("activation"))
    for (double& v : values) v /= 1 + std::exp(-v);
  write_channels_first(a.y(0), values, last);
  return {};
}

extern const Op op_ms_group_norm{
    .name = "GroupNorm",
    .domain = "com.microsoft",
    .inputs = {{"X", kFloats}, {"gamma", kFloats, 'M'}, {"beta", kFloats, 'M'}},
    .attrs = {required_attr("groups", AttrKind::i),
              required_attr("activation", AttrKind::i),
              {"epsilon", 1e-5f},
              {"channels_last", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 5, 3, 6}}, {{6}}, {{6}}}, {{"groups", int64_t(2)}, {"activation", int64_t(1)}}},
                {{{{1, 4, 3, 3}}, {{4}}, {{4}}},
                 {{"groups", int64_t(4)}, {"activation", int64_t(0)}, {"channels_last", int64_t(0)}}}},
};

}  // namespace tenon::ops
