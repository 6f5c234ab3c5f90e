// com.microsoft Attention: X is projected to Q, K and V by one matrix, then Y = softmax(Q K' * scale +
// biases) V.
#include <cmath>

#include "ops/common/flops.h"
#include "ops/common/matmul.h"
#include "ops/common/ms_attention.h"

namespace tenon::ops {

enum Input : size_t { kX, kW, kBias, kMask, kPast, kAdded, kPastLength };

// Hidden sizes of Q (and K) and of V: from the attribute, or a third each.
static Result<std::pair<Dim, Dim>> hidden_sizes(const Attrs& attrs, const Dim& columns) {
  const Ints& sizes = attrs.ints("qkv_hidden_sizes");
  const int64_t heads = attrs.i("num_heads");
  if (sizes.empty()) {
    if (columns.is_const() && columns.constant() % (3 * heads))
      return invalid_model("weights of ", columns.constant(), " columns do not divide into Q, K, V of ",
                           heads, " heads");
    return std::pair(floor_div(columns, Dim(3)), floor_div(columns, Dim(3)));
  }
  if (sizes.size() != 3 || sizes[0] != sizes[1]) return invalid_model("qkv_hidden_sizes is ", sizes);
  for (int64_t s : sizes)
    if (s < 1 || s > INT32_MAX || s % heads)
      return invalid_model("qkv_hidden_sizes ", sizes, " for ", heads, " heads");
  TRY(unify_dims(columns, Dim(sizes[0] * 2 + sizes[2]), "the columns of the weights"));
  return std::pair(Dim(sizes[0]), Dim(sizes[2]));
}

static Status infer(InferArgs& a) {
  const int64_t heads = a.attrs.i("num_heads");
  if (heads < 1 || heads > 1 << 20) return invalid_model("num_heads is ", heads);
  if (a.attrs.i("do_rotary") || a.attrs.i("past_present_share_buffer") || a.has(kPastLength))
    return unsupported("Attention with do_rotary or a shared past buffer");
  const DType t = a.dtype(kX);
  if (!a.ranked(kX) || !a.ranked(kW)) {
    a.set_fresh(0, t, 3, "attention");
    a.set_fresh(1, t, 5, "attention");
    return {};
  }
  if (a.rank(kX) != 3 || a.rank(kW) != 2)
    return invalid_model("input of rank ", a.rank(kX), " and weights of rank ", a.rank(kW),
                         ", they must be 3 and 2");
  TRY(unify_dims(a.shape(kX)[2], a.shape(kW)[0], "the input's hidden size"));
  const auto [hidden, v_hidden] = TRY(hidden_sizes(a.attrs, a.shape(kW)[1]));
  if (a.ranked(kBias)) {
    if (a.rank(kBias) != 1) return invalid_model("the bias must be a vector");
    TRY(unify_dims(a.shape(kBias)[0], a.shape(kW)[1], "the size of the bias"));
  }
  const Dim batch = a.shape(kX)[0], length = a.shape(kX)[1], head = floor_div(hidden, Dim(heads));
  Dim past(0);
  if (a.has(kPast)) {
    TRY(unify_dims(hidden, v_hidden, "the hidden size of K and V with a past"));
    past = a.ranked(kPast) && a.rank(kPast) == 5 ? a.shape(kPast)[3] : a.fresh("past");
    if (a.ranked(kPast)) {
      if (a.rank(kPast) != 5) return invalid_model("past must have rank 5, it has rank ", a.rank(kPast));
      const Dim want[] = {Dim(2), batch, Dim(heads), past, head};
      for (size_t d = 0; d < 5; ++d) TRY(unify_dims(a.shape(kPast)[d], want[d], "a dimension of past"));
    }
  }
  if (a.out.size() > 1) TRY(unify_dims(hidden, v_hidden, "the hidden size of K and V with a present"));
  const Dim total = past + length;
  TRY(check_key_mask(a, kMask, batch, length, total, true));
  TRY(check_attention_bias(a, kAdded, batch, Dim(heads), length, total));
  a.set(0, t, {batch, length, v_hidden});
  a.set(1, t, {Dim(2), batch, Dim(heads), total, head});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(kX), &w = a.x(kW);
  AttentionProblem p;
  p.batch = x.dim(0), p.q_len = x.dim(1), p.q_heads = p.kv_heads = a.attrs.i("num_heads");
  const int64_t columns = w.dim(1);
  const auto [hidden, v_hidden] = TRY(hidden_sizes(a.attrs, Dim(columns)));
  p.head = hidden.constant() / p.q_heads, p.v_head = v_hidden.constant() / p.q_heads;
  const std::vector<double> qkv = batched_matmul(x.to_doubles(), x.shape(), w.to_doubles(), w.shape());
  const std::vector<double> bias = a.has(kBias) ? a.x(kBias).to_doubles() : std::vector<double>();
  // Columns [begin, begin + n) of the projection, by heads.
  auto part = [&](int64_t begin, int64_t n) {
    std::vector<double> v;
    for (int64_t t = 0; t < p.batch * p.q_len; ++t)
      for (int64_t c = begin; c < begin + n; ++c)
        v.push_back(qkv[size_t(t * columns + c)] + (bias.empty() ? 0 : bias[size_t(c)]));
    return split_heads(v, p.batch, p.q_len, p.q_heads);
  };
  p.q = part(0, hidden.constant());
  p.k = part(hidden.constant(), hidden.constant());
  p.v = part(2 * hidden.constant(), v_hidden.constant());
  const int64_t past = a.has(kPast) ? a.x(kPast).dim(3) : 0, rows = p.batch * p.q_heads;
  if (past) {
    const std::vector<double> both = a.x(kPast).to_doubles();
    const auto half = both.begin() + int64_t(both.size() / 2);
    p.k = join_middle({both.begin(), half}, p.k, rows);
    p.v = join_middle({half, both.end()}, p.v, rows);
  }
  p.kv_len = past + p.q_len;
  const double scale = a.attrs.f("scale");
  p.scale = scale != 0 ? scale : p.head ? 1 / std::sqrt(double(p.head)) : 1;
  MsBias bias_rows = ms_bias(a, p, kMask, kAdded, past);
  bias_rows.causal = a.attrs.i("unidirectional") != 0;
  p.bias = bias_rows;
  const std::vector<double> y = merge_heads(attention(p), p.batch, p.q_heads, p.q_len);
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, a.y(0).size(), y.data());
  if (a.wants(1)) {
    std::vector<double> present = p.k;
    present.insert(present.end(), p.v.begin(), p.v.end());
    store_doubles(a.y(1).dtype(), a.y(1).data(), 0, a.y(1).size(), present.data());
  }
  return {};
}

static constexpr DTypeSet kTypes{DType::f32, DType::f16};

// The projection of the input to Q, K and V, then attention.
static Flops count(const FlopArgs& a) {
  const double length = a.dim(kX, 1), past = a.dim(kPast, 3), rows = a.dim(kX, 0) * length;
  Flops f = attention_flops({a.results(), a.results(), rows * double(a.attrs.i("num_heads")), length, past, past + length,
                             a.attrs.i("unidirectional") != 0});
  f.products += 2 * rows * a.elements(kW);
  return f;
}

extern const Op op_ms_attention{
    .name = "Attention",
    .domain = "com.microsoft",
    .inputs = {{"input", kTypes, 'T'},
               {"weights", kTypes, 'T'},
               {"bias", kTypes, 'T', Param::optional},
               {"mask_index", DType::i32, 0, Param::optional},
               {"past", kTypes, 'T', Param::optional},
               {"attention_bias", kTypes, 'T', Param::optional},
               {"past_sequence_length", DType::i32, 0, Param::optional}},
    .outputs = {{"output"}, {"present", kTypes, 'T', Param::optional}},
    .attrs = {{"do_rotary", int64_t(0)},
              {"mask_filter_value", -10000.0f},
              required_attr("num_heads", AttrKind::i),
              {"past_present_share_buffer", int64_t(0)},
              optional_attr("qkv_hidden_sizes", AttrKind::ints),
              {"rotary_embedding_dim", int64_t(0)},
              {"scale", 0.0f},
              {"unidirectional", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .flops = count,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 64},
    .samples =
        {{{{{2, 3, 8}}, {{8, 24}}, {{24}}, {{2}, DType::i32, 1, 3}}, {{"num_heads", int64_t(2)}}},
         {{{{1, 5, 6}}, {{6, 20}}, {{20}}},
          {{"num_heads", int64_t(2)}, {"unidirectional", int64_t(1)}, {"qkv_hidden_sizes", Ints{8, 8, 4}}}}},
};

}  // namespace tenon::ops
