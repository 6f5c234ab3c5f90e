// com.microsoft GroupQueryAttention: attention of a decoder with a cache of keys and values. New tokens are
// put behind the seqlens_k[b] + 1 - length tokens that the cache holds, optionally turned by their position,
// and see only what stands before them, at most local_window_size tokens. Heads of Q share heads of K and V.
#include <algorithm>
#include <cmath>

#include "ops/common/flops.h"
#include "ops/common/matmul.h"
#include "ops/common/ms_attention.h"
#include "ops/common/pointwise.h"
#include "ops/common/rotary.h"

namespace tenon::ops {

enum Input : size_t {
  kQ,
  kK,
  kV,
  kPastK,
  kPastV,
  kLengths,
  kTotal,
  kCos,
  kSin,
  kPositions,
  kAdded,
  kSink,
  kKScale,
  kVScale,
  kQNorm,
  kKNorm,
  kQueryLengths
};

static Status infer(InferArgs& a) {
  const int64_t heads = a.attrs.i("num_heads"), kv_heads = a.attrs.i("kv_num_heads");
  if (heads < 1 || kv_heads < 1 || heads > 1 << 20 || heads % kv_heads)
    return invalid_model("num_heads ", heads, " is no positive multiple of kv_num_heads ", kv_heads);
  for (size_t i : {kKScale, kVScale, kQNorm, kKNorm, kQueryLengths})
    if (a.has(i)) return unsupported("GroupQueryAttention with input '", a.op.inputs[i].name, "'");
  for (const char* quant : {"k_quant_type", "v_quant_type"})
    if (a.attrs.s(quant) != "NONE") return unsupported("GroupQueryAttention with a quantised cache");
  if (a.attrs.i("causal") != 1 || a.attrs.i("sliding_window_cache") || a.attrs.i("qk_output"))
    return unsupported("GroupQueryAttention that is not causal, has a windowed cache or gives its logits");
  if (a.has(kK) != a.has(kV) || a.has(kPastK) != a.has(kPastV))
    return invalid_model("key and value, and their pasts, must be given together");
  const bool rotary = a.attrs.i("do_rotary") != 0;
  if (rotary && (!a.has(kCos) || !a.has(kSin)))
    return invalid_model("do_rotary needs cos_cache and sin_cache");
  const DType t = a.dtype(kQ);
  if (!a.ranked(kQ) || (a.has(kK) && (!a.ranked(kK) || !a.ranked(kV)))) {
    a.set_fresh(0, t, 3, "attention");
    a.set_fresh(1, t, 4, "attention");
    a.set_fresh(2, t, 4, "attention");
    return {};
  }
  for (size_t i : {kQ, kK, kV})
    if (a.has(i) && a.rank(i) != 3)
      return invalid_model("input '", a.op.inputs[i].name, "' must have rank 3");
  const Dim batch = a.shape(kQ)[0], length = a.shape(kQ)[1], width = a.shape(kQ)[2];
  const int64_t parts = a.has(kK) ? heads : heads + 2 * kv_heads;
  if (width.is_const() && width.constant() % parts)
    return invalid_model("hidden size ", width.constant(), " does not divide into ", parts, " heads");
  const Dim head = floor_div(width, Dim(parts));
  for (size_t i : {kK, kV}) {
    if (!a.has(i)) continue;
    const Dim want[] = {batch, length, Dim(kv_heads) * head};
    for (size_t d = 0; d < 3; ++d) TRY(unify_dims(a.shape(i)[d], want[d], "a dimension of key or value"));
  }
  std::optional<Dim> past;
  if (!a.has(kPastK)) past = Dim(0);
  for (size_t i : {kPastK, kPastV}) {
    if (!a.ranked(i)) continue;
    if (a.rank(i) != 4) return invalid_model("past_key and past_value must have rank 4");
    const Dim want[] = {batch, Dim(kv_heads), past ? *past : a.shape(i)[2], head};
    for (size_t d = 0; d < 4; ++d)
      TRY(unify_dims(a.shape(i)[d], want[d], "a dimension of past_key or past_value"));
    past = a.shape(i)[2];
  }
  if (a.ranked(kLengths))
    if (auto shape = to_concrete(a.shape(kLengths));
        shape && batch.is_const() && num_elements(*shape) != batch.constant())
      return invalid_model("seqlens_k has shape ", *shape, " for a batch of ", batch.constant());
  std::optional<Dim> total;
  if (a.ranked(kTotal))
    if (auto shape = to_concrete(a.shape(kTotal)); shape && num_elements(*shape) != 1)
      return invalid_model("total_sequence_length must be one value");
  if (a.value(kTotal)) total = (*a.value(kTotal))[0];
  if (total && total->is_const() && (total->constant() < 0 || total->constant() > INT32_MAX))
    return invalid_argument("total_sequence_length is ", total->constant());
  if (rotary && a.ranked(kCos) && a.ranked(kSin)) {
    if (a.rank(kCos) != 2 || a.rank(kSin) != 2) return invalid_model("the caches must have rank 2");
    for (size_t d : {0, 1}) TRY(unify_dims(a.shape(kCos)[d], a.shape(kSin)[d], "a dimension of the caches"));
    if (head.is_const() && a.shape(kCos)[1].is_const() && 2 * a.shape(kCos)[1].constant() > head.constant())
      return invalid_model("the caches turn ", 2 * a.shape(kCos)[1].constant(), " numbers of a head of ",
                           head.constant());
  }
  if (a.ranked(kPositions)) {
    auto shape = to_concrete(a.shape(kPositions));
    if (shape && batch.is_const() && length.is_const() &&
        *shape != Shape{batch.constant(), length.constant()})
      return invalid_model("position_ids of shape ", *shape);
  }
  if (a.ranked(kSink)) {
    if (a.rank(kSink) != 1) return invalid_model("head_sink must be a vector");
    TRY(unify_dims(a.shape(kSink)[0], Dim(heads), "the number of heads"));
  }
  if (a.ranked(kAdded)) {
    const SymShape& s = a.shape(kAdded);
    if (s.size() != 4) return invalid_model("attention_bias must have rank 4, it has rank ", s.size());
    if (!s[0].is(1)) TRY(unify_dims(s[0], batch, "the batch of attention_bias"));
    if (!s[1].is(1)) TRY(unify_dims(s[1], Dim(heads), "the heads of attention_bias"));
    TRY(unify_dims(s[2], length, "the queries of attention_bias"));
  }
  a.set(0, t, {batch, length, Dim(heads) * head});
  const Dim present = total && past ? max(*total, *past) : a.fresh("present");
  for (size_t i : {1, 2}) a.set(i, t, {batch, Dim(kv_heads), present, head});
  return {};
}

// New tokens of one kind as [B, heads, S, H], from their own tensor or from column `first` of a packed one.
static std::vector<double> tokens(const Tensor& x, int64_t first, int64_t heads, int64_t head,
                                  const RotaryProblem* turn, const RefArgs& a,
                                  const std::vector<int64_t>& positions) {
  const int64_t batch = x.dim(0), length = x.dim(1), width = x.dim(2);
  const std::vector<double> in = x.to_doubles();
  std::vector<double> v;
  for (int64_t t = 0; t < batch * length; ++t)
    v.insert(v.end(), in.begin() + t * width + first, in.begin() + t * width + first + heads * head);
  if (turn) {
    RotaryProblem p = *turn;
    p.heads = heads;
    rotate(v, p, a.x(kCos).to_doubles(), a.x(kSin).to_doubles(),
           [&](int64_t b, int64_t t) { return positions[size_t(b * length + t)]; });
  }
  return split_heads(v, batch, length, heads);
}

// The cache with the new tokens put behind what entry b holds: [B, heads, capacity, H].
static std::vector<double> appended(const Tensor* past, const std::vector<double>& fresh,
                                    const std::vector<int64_t>& held, int64_t heads, int64_t length,
                                    int64_t capacity, int64_t head) {
  const int64_t batch = int64_t(held.size());
  std::vector<double> out(size_t(batch * heads * capacity * head), 0.0);
  const std::vector<double> old = past ? past->to_doubles() : std::vector<double>();
  const int64_t old_capacity = past ? past->dim(2) : 0;
  for (int64_t r = 0; r < batch * heads; ++r) {
    const int64_t keep = held[size_t(r / heads)];
    std::copy_n(old.begin() + r * old_capacity * head, keep * head, out.begin() + r * capacity * head);
    std::copy_n(fresh.begin() + r * length * head, std::min(length, capacity - keep) * head,
                out.begin() + (r * capacity + keep) * head);
  }
  return out;
}

static Status reference(RefArgs& a) {
  const Tensor& q = a.x(kQ);
  const int64_t heads = a.attrs.i("num_heads"), kv_heads = a.attrs.i("kv_num_heads");
  const bool packed = !a.has(kK);
  AttentionProblem p;
  p.batch = q.dim(0), p.q_len = q.dim(1), p.q_heads = heads, p.kv_heads = kv_heads;
  p.head = p.v_head = q.dim(2) / (packed ? heads + 2 * kv_heads : heads);
  const int64_t total = a.x(kTotal).int_at(0), old_capacity = a.has(kPastK) ? a.x(kPastK).dim(2) : 0;
  if (total > old_capacity + p.q_len)
    return invalid_argument("total_sequence_length is ", total, " with ", old_capacity, " old and ", p.q_len,
                            " new tokens");
  p.kv_len = std::max(total, old_capacity);
  const bool first = p.q_len == total;  // a prompt: the cache holds nothing yet
  std::vector<int64_t> lengths = a.x(kLengths).to_ints(), held, positions;
  for (int64_t& n : lengths) {
    ++n;
    if (n < 0 || n > p.kv_len)
      return invalid_argument("seqlens_k ", n - 1, " is out of range for ", p.kv_len, " tokens");
    held.push_back(first ? 0 : n - p.q_len);
    if (held.back() < 0 || held.back() > old_capacity || held.back() + p.q_len > p.kv_len)
      return invalid_argument("seqlens_k ", n - 1, " with ", p.q_len, " new tokens does not fit a cache of ",
                              old_capacity);
  }
  const bool rotary = a.attrs.i("do_rotary") != 0;
  RotaryProblem turn{
      p.batch, p.q_len, 0, p.head, rotary ? a.x(kCos).dim(1) : 0, a.attrs.i("rotary_interleaved") != 0};
  const Ints given = a.has(kPositions) ? a.x(kPositions).to_ints() : Ints();
  for (int64_t b = 0; rotary && b < p.batch; ++b)
    for (int64_t t = 0; t < p.q_len; ++t) {
      positions.push_back(given.empty() ? held[size_t(b)] + t : given[size_t(b * p.q_len + t)]);
      // Tokens behind the end of a shorter prompt are padding: any position will do.
      if (given.empty() && t >= lengths[size_t(b)] - held[size_t(b)]) positions.back() = 0;
      if (positions.back() < 0 || positions.back() >= a.x(kCos).dim(0))
        return invalid_argument("position ", positions.back(), " is out of range [0, ", a.x(kCos).dim(0),
                                ")");
    }
  p.q = tokens(q, 0, heads, p.head, rotary ? &turn : nullptr, a, positions);
  const Tensor &k = packed ? q : a.x(kK), &v = packed ? q : a.x(kV);
  const auto new_k =
      tokens(k, packed ? heads * p.head : 0, kv_heads, p.head, rotary ? &turn : nullptr, a, positions);
  const auto new_v =
      tokens(v, packed ? (heads + kv_heads) * p.head : 0, kv_heads, p.head, nullptr, a, positions);
  p.k = appended(a.has(kPastK) ? &a.x(kPastK) : nullptr, new_k, held, kv_heads, p.q_len, p.kv_len, p.head);
  p.v = appended(a.has(kPastV) ? &a.x(kPastV) : nullptr, new_v, held, kv_heads, p.q_len, p.kv_len, p.head);
  const double scale = a.attrs.f("scale");
  p.scale = scale != 0 ? scale : p.head ? 1 / std::sqrt(double(p.head)) : 1;
  p.softcap = a.attrs.f("softcap");
  if (a.has(kSink))
    p.sink = a.x(kSink).to_doubles();
  else if (a.attrs.i("smooth_softmax") == 1)
    p.sink.assign(size_t(heads), 0.0);

  const int64_t window = a.attrs.i("local_window_size");
  std::vector<double> added;
  Shape strides(4, 0);
  int64_t columns = 0;
  if (a.has(kAdded)) {
    added = a.x(kAdded).to_doubles();
    columns = a.x(kAdded).dim(3);
    strides = broadcast_strides(a.x(kAdded).shape(), {p.batch, heads, p.q_len, columns});
  }
  p.bias = [&](int64_t b, int64_t h, int64_t i, double* row) {
    const int64_t position = held[size_t(b)] + i;
    for (int64_t j = 0; j < p.kv_len; ++j) {
      if (j > position || (window >= 0 && position - j >= window))
        row[j] = -HUGE_VAL;
      else if (j < columns)
        row[j] = added[size_t(b * strides[0] + h * strides[1] + i * strides[2] + j * strides[3])];
    }
  };
  const std::vector<double> y = merge_heads(attention(p), p.batch, heads, p.q_len);
  const std::vector<double>* results[] = {&y, &p.k, &p.v};
  for (size_t i = 0; i < 3 && a.wants(i); ++i)
    store_doubles(a.y(i).dtype(), a.y(i).data(), 0, a.y(i).size(), results[i]->data());
  return {};
}

static constexpr DTypeSet kTypes{DType::f32, DType::f16, DType::bf16};

static SampleInput exactly(Shape shape, std::vector<double> values) {
  SampleInput s{std::move(shape), DType::i32};
  s.values = std::move(values);
  return s;
}

static Flops count(const FlopArgs& a) {
  const double length = a.dim(kQ, 1);
  const double keys = a.out.size() > 1 && a.out[1].shape.size() == 4 ? double(a.out[1].shape[2]) : a.dim(kPastK, 2) + length;
  return attention_flops({a.results(), a.results(), a.dim(kQ, 0) * length * double(a.attrs.i("num_heads")), length,
                          std::max(0.0, keys - length), keys, true});
}

extern const Op op_ms_group_query_attention{
    .name = "GroupQueryAttention",
    .domain = "com.microsoft",
    .inputs = {{"query", kTypes, 'T'},
               {"key", kTypes, 'T', Param::optional},
               {"value", kTypes, 'T', Param::optional},
               {"past_key", kTypes, 'T', Param::optional},
               {"past_value", kTypes, 'T', Param::optional},
               {"seqlens_k", DType::i32, 0},
               {"total_sequence_length", DType::i32, 0},
               {"cos_cache", kTypes, 'T', Param::optional},
               {"sin_cache", kTypes, 'T', Param::optional},
               {"position_ids", DType::i64, 0, Param::optional},
               {"attention_bias", kTypes, 'T', Param::optional},
               {"head_sink", kTypes, 'T', Param::optional},
               {"k_scale", kAny, 0, Param::optional},
               {"v_scale", kAny, 0, Param::optional},
               {"q_norm_weight", kTypes, 'T', Param::optional},
               {"k_norm_weight", kTypes, 'T', Param::optional},
               {"query_seqlens", DType::i32, 0, Param::optional}},
    .outputs = {{"output"},
                {"present_key", kTypes, 'T', Param::optional},
                {"present_value", kTypes, 'T', Param::optional}},
    .attrs = {{"causal", int64_t(1)},
              {"do_rotary", int64_t(0)},
              {"k_quant_type", std::string("NONE")},
              {"kv_cache_bit_width", int64_t(0)},
              required_attr("kv_num_heads", AttrKind::i),
              {"local_window_size", int64_t(-1)},
              required_attr("num_heads", AttrKind::i),
              {"qk_output", int64_t(0)},
              {"rotary_interleaved", int64_t(0)},
              {"scale", 0.0f},
              {"sliding_window_cache", int64_t(0)},
              {"smooth_softmax", int64_t(0)},
              {"softcap", 0.0f},
              {"v_quant_type", std::string("NONE")}},
    .infer = infer,
    .reference = reference,
    .flops = count,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 3, 16}},
                  {{2, 3, 8}},
                  {{2, 3, 8}},
                  {.absent = true},
                  {.absent = true},
                  exactly({2}, {2, 2}),
                  exactly({}, {3})},
                 {{"num_heads", int64_t(4)}, {"kv_num_heads", int64_t(2)}}},
                {{{{1, 1, 16}},
                  {{1, 1, 8}},
                  {{1, 1, 8}},
                  {{1, 2, 5, 4}},
                  {{1, 2, 5, 4}},
                  exactly({1}, {5}),
                  exactly({}, {6}),
                  {{8, 2}},
                  {{8, 2}}},
                 {{"num_heads", int64_t(4)}, {"kv_num_heads", int64_t(2)}, {"do_rotary", int64_t(1)}},
                 3}},
};

}  // namespace tenon::ops
