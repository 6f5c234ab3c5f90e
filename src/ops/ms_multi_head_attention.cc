// com.microsoft MultiHeadAttention: Y = softmax(Q K' * scale + biases) V over heads that stand side by side;
// Q, K and V may come packed in one tensor, K and V by heads, and all without the bias of their projection.
#include <cmath>

#include "ops/common/flops.h"
#include "ops/common/matmul.h"
#include "ops/common/ms_attention.h"

namespace tenon::ops {

enum Input : size_t { kQ, kK, kV, kBias, kMask, kAdded, kPastK, kPastV, kPastLength, kCache };

// Ranks tell the layouts: Q [B, S, N*H], K [B, L, N*H], V [B, L, N*Hv]; K and V [B, N, L, H]; Q [B, S, N, 3,
// H] alone; Q with K [B, L, N, 2, H].
struct Dims {
  Dim batch, q_len, kv_len, head, v_head;
};

static Result<Dims> dims_of(InferArgs& a) {
  const int64_t heads = a.attrs.i("num_heads");
  Dims d;
  const SymShape& q = a.shape(kQ);
  if (q.size() == 5) {
    if (a.has(kK) || a.has(kV)) return invalid_model("packed QKV leaves no place for key and value");
    TRY(unify_dims(q[2], Dim(heads), "the number of heads"));
    TRY(unify_dims(q[3], Dim(3), "the packed dimension"));
    return Dims{q[0], q[1], q[1], q[4], q[4]};
  }
  if (q.size() != 3) return invalid_model("the query must have rank 3 or 5, it has rank ", q.size());
  if (q[2].is_const() && q[2].constant() % heads)
    return invalid_model("hidden size ", q[2].constant(), " does not divide into ", heads, " heads");
  d.batch = q[0], d.q_len = q[1], d.head = floor_div(q[2], Dim(heads));
  if (!a.has(kK)) return unsupported("MultiHeadAttention without a key");
  const SymShape& k = a.shape(kK);
  if (k.size() == 5) {
    if (a.has(kV)) return invalid_model("packed KV leaves no place for the value");
    TRY(unify_dims(k[2], Dim(heads), "the number of heads"));
    TRY(unify_dims(k[3], Dim(2), "the packed dimension"));
    d.batch = TRY(unify_dims(d.batch, k[0], "the batch"));
    d.head = TRY(unify_dims(d.head, k[4], "the head size"));
    d.kv_len = k[1], d.v_head = k[4];
    return d;
  }
  if (!a.has(kV)) return invalid_model("the value is missing");
  const HeadDims kd = TRY(head_dims(a, kK, heads)), vd = TRY(head_dims(a, kV, heads));
  if (a.rank(kK) != a.rank(kV))
    return invalid_model("key has rank ", a.rank(kK), ", value has rank ", a.rank(kV));
  TRY(unify_dims(kd.heads, Dim(heads), "the number of heads"));
  TRY(unify_dims(vd.heads, Dim(heads), "the number of heads"));
  d.batch = TRY(unify_dims(TRY(unify_dims(d.batch, kd.batch, "the batch")), vd.batch, "the batch"));
  d.head = TRY(unify_dims(d.head, kd.size, "the head size of query and key"));
  d.kv_len = TRY(unify_dims(kd.length, vd.length, "the length of key and value"));
  d.v_head = vd.size;
  return d;
}

static Status infer(InferArgs& a) {
  const int64_t heads = a.attrs.i("num_heads");
  if (heads < 1 || heads > INT32_MAX) return invalid_model("num_heads is ", heads);
  for (size_t i : {kPastLength, kCache})
    if (a.has(i)) return unsupported("MultiHeadAttention with input '", a.op.inputs[i].name, "'");
  if (a.has(kPastK) != a.has(kPastV)) return invalid_model("past_key and past_value must be given together");
  if (!a.ranked(kQ) || (a.has(kK) && !a.ranked(kK)) || (a.has(kV) && !a.ranked(kV))) {
    a.set_fresh(0, a.dtype(kQ), 3, "attention");
    a.set_fresh(1, a.dtype(kQ), 4, "attention");
    a.set_fresh(2, a.dtype(kQ), 4, "attention");
    return {};
  }
  const Dims d = TRY(dims_of(a));
  if (a.ranked(kBias)) {
    if (a.rank(kBias) != 1) return invalid_model("the bias must be a vector");
    if (a.has(kK) && a.rank(kK) != 3)
      return unsupported("MultiHeadAttention with a bias for a packed or split key");
    TRY(unify_dims(a.shape(kBias)[0], Dim(heads) * (d.head * Dim(2) + d.v_head), "the size of the bias"));
  }
  Dim past(0);
  for (size_t i : {kPastK, kPastV}) {
    if (!a.ranked(i)) {
      if (a.has(i) && i == kPastK) past = a.fresh("past");
      continue;
    }
    const SymShape& s = a.shape(i);
    if (s.size() != 4) return invalid_model("past_key and past_value must have rank 4");
    TRY(unify_dims(s[0], d.batch, "the batch"));
    TRY(unify_dims(s[1], Dim(heads), "the number of heads"));
    if (i == kPastV) TRY(unify_dims(s[2], past, "the past length"));
    TRY(unify_dims(s[3], i == kPastK ? d.head : d.v_head, "the head size"));
    past = s[2];
  }
  const Dim total = past + d.kv_len;
  TRY(check_key_mask(a, kMask, d.batch, d.q_len, total, false));
  TRY(check_attention_bias(a, kAdded, d.batch, Dim(heads), d.q_len, total));
  a.set(0, a.dtype(kQ), {d.batch, d.q_len, Dim(heads) * d.v_head});
  a.set(1, a.dtype(kQ), {d.batch, Dim(heads), total, d.head});
  a.set(2, a.dtype(kQ), {d.batch, Dim(heads), total, d.v_head});
  return {};
}

// Part `k` of `parts` of a packed [B, L, N, parts, H], as [B, N, L, H].
static std::vector<double> unpack(const Tensor& x, int64_t parts, int64_t k) {
  const int64_t batch = x.dim(0), length = x.dim(1), heads = x.dim(2), size = x.dim(4);
  const std::vector<double> in = x.to_doubles();
  std::vector<double> out;
  for (int64_t i = 0; i < batch * length * heads; ++i)
    out.insert(out.end(), in.begin() + (i * parts + k) * size, in.begin() + (i * parts + k + 1) * size);
  return split_heads(out, batch, length, heads);
}

// [B, L, N*H] (plus a bias from `offset` on) or [B, N, L, H], as [B, N, L, H].
static std::vector<double> by_heads(const Tensor& x, int64_t heads, const std::vector<double>& bias,
                                    int64_t offset) {
  std::vector<double> v = x.to_doubles();
  if (x.rank() == 4) return v;
  const int64_t hidden = x.dim(2);
  if (!bias.empty())
    for (size_t i = 0; i < v.size(); ++i) v[i] += bias[size_t(offset + int64_t(i) % hidden)];
  return split_heads(v, x.dim(0), x.dim(1), heads);
}

static Status reference(RefArgs& a) {
  const Tensor& q = a.x(kQ);
  AttentionProblem p;
  p.batch = q.dim(0);
  p.q_len = q.dim(1);
  p.q_heads = p.kv_heads = a.attrs.i("num_heads");
  const std::vector<double> bias = a.has(kBias) ? a.x(kBias).to_doubles() : std::vector<double>();
  int64_t new_len = p.q_len;
  if (q.rank() == 5) {
    p.head = p.v_head = q.dim(4);
    p.q = unpack(q, 3, 0), p.k = unpack(q, 3, 1), p.v = unpack(q, 3, 2);
    auto add = [&](std::vector<double>& x, int64_t part) {  // bias [3, N, H]
      for (size_t i = 0; i < x.size() && !bias.empty(); ++i) {
        const int64_t h = int64_t(i) / (p.q_len * p.head) % p.q_heads;
        x[i] += bias[size_t((part * p.q_heads + h) * p.head + int64_t(i) % p.head)];
      }
    };
    add(p.q, 0), add(p.k, 1), add(p.v, 2);
  } else {
    const Tensor& k = a.x(kK);
    const int64_t hidden = q.dim(2);
    p.head = hidden / p.q_heads;
    p.q = by_heads(q, p.q_heads, bias, 0);
    if (k.rank() == 5) {
      new_len = k.dim(1), p.v_head = p.head;
      p.k = unpack(k, 2, 0), p.v = unpack(k, 2, 1);
    } else {
      const Tensor& v = a.x(kV);
      new_len = k.rank() == 3 ? k.dim(1) : k.dim(2);
      p.v_head = k.rank() == 3 ? v.dim(2) / p.q_heads : v.dim(3);
      p.k = by_heads(k, p.q_heads, bias, hidden);
      p.v = by_heads(v, p.q_heads, bias, 2 * hidden);
    }
  }
  const int64_t past = a.has(kPastK) ? a.x(kPastK).dim(2) : 0;
  if (past) {
    p.k = join_middle(a.x(kPastK).to_doubles(), p.k, p.batch * p.q_heads);
    p.v = join_middle(a.x(kPastV).to_doubles(), p.v, p.batch * p.q_heads);
  }
  p.kv_len = past + new_len;
  const double scale = a.attrs.f("scale");
  p.scale = scale != 0 ? scale : p.head ? 1 / std::sqrt(double(p.head)) : 1;
  MsBias rows = ms_bias(a, p, kMask, kAdded, past);
  rows.causal = a.attrs.i("unidirectional") != 0;
  p.bias = rows;
  const std::vector<double> y = merge_heads(attention(p), p.batch, p.q_heads, p.q_len);
  const std::vector<double>* results[] = {&y, &p.k, &p.v};
  for (size_t i = 0; i < 3 && a.wants(i); ++i)
    store_doubles(a.y(i).dtype(), a.y(i).data(), 0, a.y(i).size(), results[i]->data());
  return {};
}

static constexpr DTypeSet kTypes{DType::f32, DType::f16, DType::bf16};

static Flops count(const FlopArgs& a) {
  const double length = a.dim(kQ, 1), past = a.dim(kPastK, 2);
  const double keys = !a.has(kK) ? length : a.dim(kK, a.in[kK].shape.size() == 4 ? 2 : 1);
  const bool packed = a.in[kQ].shape.size() == 5;  // with keys and values
  return attention_flops({packed ? a.results() : a.elements(kQ), a.results(), a.dim(kQ, 0) * length * double(a.attrs.i("num_heads")), length, past,
                          past + keys, a.attrs.i("unidirectional") != 0});
}

extern const Op op_ms_multi_head_attention{
    .name = "MultiHeadAttention",
    .domain = "com.microsoft",
    .inputs = {{"query", kTypes, 'T'},
               {"key", kTypes, 'T', Param::optional},
               {"value", kTypes, 'T', Param::optional},
               {"bias", kTypes, 'T', Param::optional},
               {"key_padding_mask", DType::i32, 0, Param::optional},
               {"attention_bias", kTypes, 'T', Param::optional},
               {"past_key", kTypes, 'T', Param::optional},
               {"past_value", kTypes, 'T', Param::optional},
               {"past_sequence_length", DType::i32, 0, Param::optional},
               {"cache_indirection", DType::i32, 0, Param::optional}},
    .outputs = {{"output"},
                {"present_key", kTypes, 'T', Param::optional},
                {"present_value", kTypes, 'T', Param::optional}},
    .attrs = {{"exact", int64_t(0)},  // not ONNX's: lower_precision sets it where float32 factors must not be rounded to tf32
              {"mask_filter_value", -10000.0f},
              required_attr("num_heads", AttrKind::i),
              {"scale", 0.0f},
              {"unidirectional", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .flops = count,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 3, 8}}, {{2, 5, 8}}, {{2, 5, 8}}, {{24}}, {{2, 5}, DType::i32, 0, 1}},
                 {{"num_heads", int64_t(2)}}},
                {{{{1, 4, 2, 3, 8}}}, {{"num_heads", int64_t(2)}, {"unidirectional", int64_t(1)}}}},
};

}  // namespace tenon::ops
