// CausalConvWithState: a depthwise 1-D convolution that looks only back; what lies before the input is the state.
#include <cmath>

#include "ops/common/flops.h"
#include "ops/common/window.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const std::string& activation = a.attrs.s("activation");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return invalid_model("attribute 'activation' cannot be '", activation, "'");
  for (size_t i : {0, 1, 3})
    if (a.ranked(i) && a.rank(i) != 3) return invalid_model("input '", a.op.inputs[i].name, "' has rank ", a.rank(i), ", not 3");
  if (a.ranked(1)) {
    const SymShape& w = a.shape(1);
    if ((w[1].is_const() && !w[1].is(1)) || w[2].is(0)) return invalid_model("weights ", to_string(w), " are not [channels, 1, k]");
    if (a.ranked(0) && w[0].is_const() && a.shape(0)[1].is_const() && !(w[0] == a.shape(0)[1]))
      return invalid_model("weights ", to_string(w), " for an input ", to_string(a.shape(0)));
    TRY(check_vector(a, 2, w[0]));
  }
  if (a.ranked(0)) a.set(0, a.dtype(0), a.shape(0));
  else a.set_fresh(0, a.dtype(0), 3, "causal");
  SymShape state = a.ranked(3) ? a.shape(3) : SymShape();
  if (a.ranked(0) && a.ranked(1)) {
    const SymShape want = {a.shape(0)[0], a.shape(0)[1], a.shape(1)[2] - Dim(1)};
    for (size_t d = 0; d < state.size(); ++d)
      if (state[d].is_const() && want[d].is_const() && !(state[d] == want[d]))
        return invalid_model("input 'past_state' has shape ", to_string(state), ", ", to_string(want), " is needed");
    state = want;
  }
  if (state.empty()) a.set_fresh(1, a.dtype(0), 3, "state");
  else a.set(1, a.dtype(0), state);
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  const int64_t batch = x.dim(0), channels = x.dim(1), length = x.dim(2), k = a.x(1).dim(2);
  if (x.size() == 0 && (k == 1 || !a.wants(1))) return {};
  const std::vector<double> in = x.to_doubles(), w = a.x(1).to_doubles();
  const std::vector<double> past = a.has(3) ? a.x(3).to_doubles() : std::vector<double>();
  const bool silu = a.attrs.s("activation") != "none";
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t row = n * channels + c;
      // Position t of the state (zeros where it is absent) followed by the input.
      auto at = [&](int64_t t) {
        if (t >= k - 1) return in[size_t(row * length + t - (k - 1))];
        return a.has(3) ? past[size_t(row * (k - 1) + t)] : 0.0;
      };
      for (int64_t t = 0; t < length; ++t) {
        double sum = a.has(2) ? a.x(2).at(c) : 0;
        for (int64_t j = 0; j < k; ++j) sum += at(t + j) * w[size_t(c * k + j)];
        a.y(0).set(row * length + t, silu ? sum / (1 + std::exp(-sum)) : sum);
      }
      if (a.wants(1))
        for (int64_t t = 0; t < k - 1; ++t) a.y(1).set(row * (k - 1) + t, at(length + t));
    }
  return {};
}

extern const Op op_causal_conv_with_state{
    .name = "CausalConvWithState",
    .version = 27,
    .compatible_from = 27,
    .inputs = {{"input", kFloats},
               {"weight", kFloats},
               {"bias", kFloats, 'T', Param::optional},
               {"past_state", kFloats, 'T', Param::optional}},
    .outputs = {{"output"}, {"present_state"}},
    .attrs = {{"activation", "none"}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return conv_flops(a, 1); },
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 7}}, {{3, 1, 4}}, {{3}}, {{2, 3, 3}}}, {{"activation", "silu"}}, 2},
                {{{{1, 5, 2}}, {{5, 1, 4}}}, {}, 2},
                {{{{1, 5, 3}}, {{5, 1, 1}}}, {}, 2}},
};

}  // namespace tenon::ops
