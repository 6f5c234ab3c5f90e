// LinearAttention: a state S of [d_k, d_v] for each head, updated token by token: S = exp(g) S + k (x) u with
// u = v, or beta (v - S' k) where update_rule has "delta"; y = scale q' S.
#include <algorithm>
#include <cmath>

#include "ops/common/attention.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

enum Input : size_t { kQ, kK, kV, kPast, kDecay, kBeta };

struct Rule {
  bool gated = false, delta = false;
};

static Result<Rule> rule_of(const Attrs& attrs) {
  const std::string& name = attrs.s("update_rule");
  if (name == "linear") return Rule{};
  if (name == "gated") return Rule{true, false};
  if (name == "delta") return Rule{false, true};
  if (name == "gated_delta") return Rule{true, true};
  return invalid_model("update_rule '", escape(name), "'; it is one of linear, gated, delta, gated_delta");
}

static Status infer(InferArgs& a) {
  const Rule rule = TRY(rule_of(a.attrs));
  const int64_t q_heads = a.attrs.i("q_num_heads"), kv_heads = a.attrs.i("kv_num_heads");
  if (q_heads < 1 || kv_heads < 1 || q_heads % kv_heads)
    return invalid_model("q_num_heads ", q_heads, " is no positive multiple of kv_num_heads ", kv_heads);
  if (a.has(kDecay) != rule.gated)
    return invalid_model("update_rule ", a.attrs.s("update_rule"), rule.gated ? " needs" : " takes no",
                         " input 'decay'");
  if (a.has(kBeta) != rule.delta)
    return invalid_model("update_rule ", a.attrs.s("update_rule"), rule.delta ? " needs" : " takes no",
                         " input 'beta'");
  for (size_t i : {kQ, kK, kV, kDecay, kBeta})
    if (a.ranked(i) && a.rank(i) != 3)
      return invalid_model("input '", a.op.inputs[i].name, "' must have rank 3, it has rank ", a.rank(i));
  const HeadDims q = TRY(head_dims(a, kQ, q_heads)), k = TRY(head_dims(a, kK, kv_heads)),
                 v = TRY(head_dims(a, kV, kv_heads));
  Dim batch = q.batch, length = q.length;
  for (size_t i : {kK, kV, kDecay, kBeta}) {
    if (!a.ranked(i)) continue;
    batch = TRY(unify_dims(batch, a.shape(i)[0], "the batch"));
    length = TRY(unify_dims(length, a.shape(i)[1], "the length"));
  }
  const Dim key = TRY(unify_dims(q.size, k.size, "the head size of query and key"));
  if (a.ranked(kDecay)) {
    const Dim& last = a.shape(kDecay)[2];
    if (last.is_const() && !last.is(kv_heads))
      TRY(unify_dims(last, Dim(kv_heads) * key, "the last dimension of decay"));
  }
  if (a.ranked(kBeta)) {
    const Dim& last = a.shape(kBeta)[2];
    if (!last.is(1)) TRY(unify_dims(last, Dim(kv_heads), "the last dimension of beta"));
  }
  const SymShape state = {batch, Dim(kv_heads), key, v.size};
  if (a.ranked(kPast)) {
    if (a.rank(kPast) != 4) return invalid_model("past_state must have rank 4, it has rank ", a.rank(kPast));
    for (size_t d = 0; d < 4; ++d) TRY(unify_dims(a.shape(kPast)[d], state[d], "a dimension of past_state"));
  }
  a.set(0, a.dtype(kQ), {batch, length, Dim(q_heads) * v.size});
  a.set(1, a.has(kPast) ? a.dtype(kPast) : a.dtype(kQ), state);
  return {};
}

static Status reference(RefArgs& a) {
  const Rule rule = TRY(rule_of(a.attrs));
  const int64_t q_heads = a.attrs.i("q_num_heads"), kv_heads = a.attrs.i("kv_num_heads"),
                group = q_heads / kv_heads;
  const int64_t batch = a.x(kQ).dim(0), length = a.x(kQ).dim(1);
  const int64_t dk = a.x(kQ).dim(2) / q_heads, dv = a.x(kV).dim(2) / kv_heads;
  const double scale = a.attrs.f("scale") != 0 ? double(a.attrs.f("scale"))
                       : dk                    ? 1 / std::sqrt(double(dk))
                                               : 1;
  const std::vector<double> q = a.x(kQ).to_doubles(), k = a.x(kK).to_doubles(), v = a.x(kV).to_doubles();
  const std::vector<double> decay = rule.gated ? a.x(kDecay).to_doubles() : std::vector<double>();
  const std::vector<double> beta = rule.delta ? a.x(kBeta).to_doubles() : std::vector<double>();
  const bool decay_by_head = rule.gated && a.x(kDecay).dim(2) == kv_heads;
  const int64_t betas = rule.delta ? a.x(kBeta).dim(2) : 1;
  std::vector<double> state =
      a.has(kPast) ? a.x(kPast).to_doubles() : std::vector<double>(size_t(batch * kv_heads * dk * dv), 0.0);
  std::vector<double> y(size_t(batch * length * q_heads * dv), 0.0), u(size_t(dv), 0.0);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < length; ++t)
      for (int64_t h = 0; h < kv_heads; ++h) {
        const int64_t token = b * length + t;
        double* s = state.data() + (b * kv_heads + h) * dk * dv;
        const double *kt = k.data() + (token * kv_heads + h) * dk,
                     *vt = v.data() + (token * kv_heads + h) * dv;
        if (rule.gated)
          for (int64_t i = 0; i < dk; ++i) {
            const double g = std::exp(
                decay[size_t(decay_by_head ? token * kv_heads + h : (token * kv_heads + h) * dk + i)]);
            for (int64_t j = 0; j < dv; ++j) s[i * dv + j] *= g;
          }
        std::copy(vt, vt + dv, u.begin());
        if (rule.delta) {
          for (int64_t i = 0; i < dk; ++i)
            for (int64_t j = 0; j < dv; ++j) u[size_t(j)] -= s[i * dv + j] * kt[i];
          for (double& e : u) e *= beta[size_t(token * betas + (betas == 1 ? 0 : h))];
        }
        for (int64_t i = 0; i < dk; ++i)
          for (int64_t j = 0; j < dv; ++j) s[i * dv + j] += kt[i] * u[size_t(j)];
        for (int64_t g = 0; g < group; ++g) {
          const int64_t head = token * q_heads + h * group + g;
          for (int64_t i = 0; i < dk; ++i)
            for (int64_t j = 0; j < dv; ++j)
              y[size_t(head * dv + j)] += scale * q[size_t(head * dk + i)] * s[i * dv + j];
        }
      }
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, a.y(0).size(), y.data());
  if (a.wants(1)) store_doubles(a.y(1).dtype(), a.y(1).data(), 0, a.y(1).size(), state.data());
  return {};
}

static constexpr DTypeSet kTypes{DType::f32, DType::f16, DType::bf16};

extern const Op op_linear_attention{
    .name = "LinearAttention",
    .version = 27,
    .compatible_from = 27,
    .inputs = {{"query", kTypes, 'T'},
               {"key", kTypes, 'T'},
               {"value", kTypes, 'T'},
               {"past_state", kTypes, 'S', Param::optional},
               {"decay", kTypes, 'T', Param::optional},
               {"beta", kTypes, 'T', Param::optional}},
    .outputs = {{"output"}, {"present_state"}},
    .attrs = {{"chunk_size", int64_t(64)},
              required_attr("kv_num_heads", AttrKind::i),
              required_attr("q_num_heads", AttrKind::i),
              {"scale", 0.0f},
              {"update_rule", std::string("gated_delta")}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 64},
    .samples =
        {{{{{1, 3, 8}, DType::f32, -0.5, 0.5}, {{1, 3, 8}, DType::f32, -0.5, 0.5}, {{1, 3, 6}}},
          {{"q_num_heads", int64_t(2)}, {"kv_num_heads", int64_t(2)}, {"update_rule", std::string("linear")}},
          2},
         {{{{2, 5, 16}, DType::f32, -0.5, 0.5},
           {{2, 5, 8}, DType::f32, -0.5, 0.5},
           {{2, 5, 6}},
           {.absent = true},
           {{2, 5, 2}, DType::f32, -1, 0},
           {{2, 5, 2}, DType::f32, 0, 1}},
          {{"q_num_heads", int64_t(4)}, {"kv_num_heads", int64_t(2)}},
          2}},
};

}  // namespace tenon::ops
