// Attention: Y = softmax(cap(Q K' * scale) + bias) V, where bias holds attn_mask, the causal and window
// limits and the padding of an external cache. Heads of Q may share heads of K and V; past keys and values
// are put before the new.
#include "ops/common/attention.h"
#include "ops/common/flops.h"

#include <cmath>

#include "ops/common/matmul.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

enum Input : size_t { kQ, kK, kV, kMask, kPastK, kPastV, kValid };

// An input [batch, length, heads * size], or that many of its columns where `columns` says so.
static Result<HeadDims> dims_of(InferArgs& a, size_t input, int64_t heads) {
  const Ints &columns = a.attrs.ints("columns"), &sizes = a.attrs.ints("head_sizes");
  if (columns.empty() && sizes.empty()) return head_dims(a, input, heads);
  if (columns.size() != 3 || sizes.size() != 2) return invalid_model("columns is ", columns, ", head_sizes is ", sizes);
  const std::string& name = a.op.inputs[input].name;
  const int64_t size = sizes[input == kV], begin = columns[input];
  if (size < 1 || size > INT32_MAX || begin < 0 || begin > INT32_MAX || heads < 1 || heads > INT32_MAX)
    return invalid_model("input '", name, "' has ", heads, " heads of size ", size, " from column ", begin, " on");
  if (!a.ranked(input)) return HeadDims{a.fresh("batch"), Dim(heads), a.fresh("length"), Dim(size)};
  const SymShape& s = a.shape(input);
  if (s.size() != 3) return invalid_model("columns of input '", name, "' of rank ", s.size(), ", it must be 3");
  if (s[2].is_const() && s[2].constant() < begin + heads * size)
    return invalid_model("input '", name, "' has ", s[2].constant(), " columns where ", begin + heads * size, " are needed");
  return HeadDims{s[0], Dim(heads), s[1], Dim(size)};
}

static Status infer(InferArgs& a) {
  const int64_t stage = a.attrs.i("qk_matmul_output_mode");
  if (stage < 0 || stage > 3) return invalid_model("qk_matmul_output_mode is ", stage);
  for (const char* side : {"left_window_size", "right_window_size"})
    if (a.attrs.i(side, -1) < -1) return invalid_model(side, " is ", a.attrs.i(side));
  if (a.has(kPastK) != a.has(kPastV)) return invalid_model("past_key and past_value must be given together");
  if (a.has(kPastK) && a.has(kValid)) return invalid_model("nonpad_kv_seqlen cannot be used with past_key");
  const HeadDims q = TRY(dims_of(a, kQ, a.attrs.i("q_num_heads"))),
                 k = TRY(dims_of(a, kK, a.attrs.i("kv_num_heads"))),
                 v = TRY(dims_of(a, kV, a.attrs.i("kv_num_heads")));
  if (a.ranked(kQ) && a.ranked(kK) && a.ranked(kV) && (a.rank(kQ) != a.rank(kK) || a.rank(kQ) != a.rank(kV)))
    return invalid_model("Q, K and V have ranks ", a.rank(kQ), ", ", a.rank(kK), " and ", a.rank(kV));
  Dim batch = TRY(unify_dims(TRY(unify_dims(q.batch, k.batch, "the batch")), v.batch, "the batch"));
  TRY(unify_dims(q.size, k.size, "the head size of Q and K"));
  const Dim kv_heads = TRY(unify_dims(k.heads, v.heads, "the number of heads of K and V"));
  const Dim kv_len = TRY(unify_dims(k.length, v.length, "the length of K and V"));
  if (q.heads.is_const() && kv_heads.is_const() &&
      (kv_heads.constant() < 1 ? q.heads.constant() != 0 : q.heads.constant() % kv_heads.constant() != 0))
    return invalid_model("Q has ", q.heads.constant(), " heads, which ", kv_heads.constant(),
                         " heads of K do not divide");
  Dim total = kv_len;
  if (a.has(kPastK)) {
    const char* const names[] = {"the batch", "the number of heads", "the past length", "the head size"};
    Dim past;
    for (size_t i : {kPastK, kPastV}) {
      if (!a.ranked(i)) {
        if (i == kPastK) past = a.fresh("past");
        continue;
      }
      if (a.rank(i) != 4) return invalid_model("past_key and past_value must have rank 4");
      const Dim want[] = {batch, kv_heads, i == kPastK ? a.shape(i)[2] : past, i == kPastK ? k.size : v.size};
      for (size_t d = 0; d < 4; ++d) TRY(unify_dims(a.shape(i)[d], want[d], names[d]));
      if (i == kPastK) past = a.shape(i)[2];
    }
    total = past + kv_len;
  }
  if (a.ranked(kMask)) {
    const SymShape& mask = a.shape(kMask);
    if (mask.empty() || mask.size() > 4)
      return invalid_model("attn_mask must have rank 1 to 4, it has ", mask.size());
    const Dim want[] = {batch, q.heads, q.length, total};
    for (size_t i = 0; i < mask.size(); ++i) {
      const Dim &have = mask[mask.size() - 1 - i], &full = want[3 - i];
      if (!have.is_const() || !full.is_const() || have.is(1)) continue;
      if (i == 0 ? have.constant() > full.constant() : !(have == full))
        return invalid_model("attn_mask of shape ", to_string(mask), " does not fit [", batch.to_string(),
                             ", ", q.heads.to_string(), ", ", q.length.to_string(), ", ", total.to_string(),
                             "]");
    }
  }
  if (a.ranked(kValid)) {
    if (a.rank(kValid) != 1) return invalid_model("nonpad_kv_seqlen must be a vector");
    TRY(unify_dims(a.shape(kValid)[0], batch, "the batch"));
  }
  if (!a.ranked(kQ))
    a.set_unranked(0, a.dtype(kQ));
  else if (a.rank(kQ) == 4)
    a.set(0, a.dtype(kQ), {batch, q.heads, q.length, v.size});
  else
    a.set(0, a.dtype(kQ), {batch, q.length, q.heads * v.size});
  a.set(1, a.dtype(kK), {batch, kv_heads, total, k.size});
  a.set(2, a.dtype(kV), {batch, kv_heads, total, v.size});
  a.set(3, a.dtype(kQ), {batch, q.heads, q.length, total});
  return {};
}

// Fills the bias of a row from masks and positions.
struct Bias {
  std::vector<double> mask;    // as a bias: -inf where a key is shut out; of the shape below
  Shape strides;               // of the mask for [batch, head, query, key]
  int64_t mask_len = 0;        // keys from here on are shut out by the mask
  std::vector<int64_t> valid;  // keys that are no padding, by batch; empty: all
  int64_t past = 0, q_len = 0, kv_len = 0, left = -1, right = -1;
  bool causal = false;

  void operator()(int64_t b, int64_t h, int64_t i, double* row) const {
    const int64_t position = i + (valid.empty() ? past : valid[size_t(b)] - q_len);
    const int64_t at = mask.empty() ? 0 : b * strides[0] + h * strides[1] + i * strides[2];
    for (int64_t j = 0; j < kv_len; ++j) {
      if (!mask.empty() || mask_len < kv_len)
        row[j] = j < mask_len ? mask[size_t(at + j * strides[3])] : -HUGE_VAL;
      const bool shut = (causal && j > position) || (left >= 0 && position - j > left) ||
                        (right >= 0 && j - position > right) || (!valid.empty() && j >= valid[size_t(b)]);
      if (shut) row[j] = -HUGE_VAL;
    }
  }
};

static void read_mask(const Tensor& m, const AttentionProblem& p, Bias& bias) {
  bias.mask = m.to_doubles();
  if (m.dtype() == DType::boolean)
    for (double& v : bias.mask) v = v != 0 ? 0 : -HUGE_VAL;
  bias.mask_len = m.shape().back();
  bias.strides = broadcast_strides(m.shape(), {p.batch, p.q_heads, p.q_len, bias.mask_len});
}

// `count` of the columns of a tensor of rank 3.
static std::vector<double> take_columns(const Tensor& x, int64_t begin, int64_t count) {
  const std::vector<double> all = x.to_doubles();
  if (begin == 0 && count == x.dim(2)) return all;
  std::vector<double> out;
  for (int64_t r = 0; r < x.dim(0) * x.dim(1); ++r)
    out.insert(out.end(), all.begin() + r * x.dim(2) + begin, all.begin() + r * x.dim(2) + begin + count);
  return out;
}

static Status reference(RefArgs& a) {
  const Tensor &q = a.x(kQ), &k = a.x(kK), &v = a.x(kV);
  const bool packed = q.rank() == 3;
  AttentionProblem p;
  p.batch = q.dim(0);
  p.q_heads = packed ? a.attrs.i("q_num_heads") : q.dim(1);
  p.kv_heads = packed ? a.attrs.i("kv_num_heads") : k.dim(1);
  p.q_len = packed ? q.dim(1) : q.dim(2);
  const int64_t new_len = packed ? k.dim(1) : k.dim(2), past = a.has(kPastK) ? a.x(kPastK).dim(2) : 0;
  p.kv_len = past + new_len;
  Ints columns = a.attrs.ints("columns"), sizes = a.attrs.ints("head_sizes");
  if (columns.empty() && packed) columns = {0, 0, 0}, sizes = {q.dim(2) / p.q_heads, v.dim(2) / p.kv_heads};
  p.head = packed ? sizes[0] : q.dim(3);
  p.v_head = packed ? sizes[1] : v.dim(3);
  if (packed) {
    p.q = split_heads(take_columns(q, columns[0], p.q_heads * p.head), p.batch, p.q_len, p.q_heads);
    p.k = split_heads(take_columns(k, columns[1], p.kv_heads * p.head), p.batch, new_len, p.kv_heads);
    p.v = split_heads(take_columns(v, columns[2], p.kv_heads * p.v_head), p.batch, new_len, p.kv_heads);
  } else {
    p.q = q.to_doubles(), p.k = k.to_doubles(), p.v = v.to_doubles();
  }
  if (past) {
    p.k = join_middle(a.x(kPastK).to_doubles(), p.k, p.batch * p.kv_heads);
    p.v = join_middle(a.x(kPastV).to_doubles(), p.v, p.batch * p.kv_heads);
  }
  p.scale = a.attrs.has("scale") ? double(a.attrs.f("scale")) : p.head ? 1 / std::sqrt(double(p.head)) : 1;
  p.softcap = a.attrs.f("softcap");

  Bias bias;
  bias.past = past, bias.q_len = p.q_len, bias.kv_len = bias.mask_len = p.kv_len;
  bias.left = a.attrs.i("left_window_size", -1), bias.right = a.attrs.i("right_window_size", -1);
  bias.causal = a.attrs.i("is_causal") != 0;
  if (a.has(kMask)) read_mask(a.x(kMask), p, bias);
  if (a.has(kValid)) bias.valid = a.x(kValid).to_ints();
  for (int64_t n : bias.valid)
    if (n < 0 || n > p.kv_len)
      return invalid_argument("nonpad_kv_seqlen ", n, " is out of range [0, ", p.kv_len, "]");
  p.bias = bias;

  std::vector<double> logits;
  const auto stage = AttentionStage(a.attrs.i("qk_matmul_output_mode"));
  std::vector<double> y = attention(p, stage, a.wants(3) ? &logits : nullptr);
  if (packed) y = merge_heads(y, p.batch, p.q_heads, p.q_len);
  const std::vector<double>* results[] = {&y, &p.k, &p.v, &logits};
  for (size_t i = 0; i < 4 && a.wants(i); ++i)
    store_doubles(a.y(i).dtype(), a.y(i).data(), 0, a.y(i).size(), results[i]->data());
  return {};
}

static Flops count(const FlopArgs& a) {
  const bool split = a.in[kQ].shape.size() == 4;  // [batch, heads, length, size]; else heads lie side by side
  const double heads = split ? a.dim(kQ, 1) : double(a.attrs.i("q_num_heads")), length = a.dim(kQ, split ? 2 : 1), past = a.dim(kPastK, 2);
  return attention_flops({a.elements(kQ), a.results(), a.dim(kQ, 0) * heads * length, length, past, past + a.dim(kK, split ? 2 : 1),
                          a.attrs.i("is_causal") != 0});
}

extern const Op op_attention{
    .name = "Attention",
    .version = 25,
    .compatible_from = 23,
    .inputs = {{"Q", kFloats, 'T'},
               {"K", kFloats, 'T'},
               {"V", kFloats, 'V'},
               {"attn_mask", kNumeric | kBool, 0, Param::optional},
               {"past_key", kFloats, 'T', Param::optional},
               {"past_value", kFloats, 'V', Param::optional},
               {"nonpad_kv_seqlen", DType::i64, 0, Param::optional}},
    .outputs = {{"Y"},
                {"present_key", kFloats, 'T', Param::optional},
                {"present_value", kFloats, 'V', Param::optional},
                {"qk_matmul_output", kFloats, 'T', Param::optional}},
    .attrs = {{"columns", Ints()},  // these three are not ONNX's: passes set them. Where the heads of rank 3 inputs begin
              {"head_sizes", Ints()},  // in their last dimension, [Q, K, V], and their sizes, [Q and K, V]
              {"exact", int64_t(0)},    // as MatMul's
              {"is_causal", int64_t(0)},
              optional_attr("kv_num_heads", AttrKind::i),
              {"left_window_size", int64_t(-1)},
              optional_attr("q_num_heads", AttrKind::i),
              {"qk_matmul_output_mode", int64_t(0)},
              {"right_window_size", int64_t(-1)},
              optional_attr("scale", AttrKind::f),
              {"softcap", 0.0f},
              optional_attr("softmax_precision", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .flops = count,
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples =
        {{{{{2, 3, 4, 8}}, {{2, 3, 6, 8}}, {{2, 3, 6, 5}}}},
         {{{{1, 4, 5, 8}}, {{1, 2, 5, 8}}, {{1, 2, 5, 8}}}, {{"is_causal", int64_t(1)}}},
         {{{{2, 3, 12}}, {{2, 5, 12}}, {{2, 5, 12}}, {{3, 5}}},
          {{"q_num_heads", int64_t(3)}, {"kv_num_heads", int64_t(3)}}},
         {{{{2, 3, 40}}, {{2, 5, 30}}, {{2, 5, 9}}},
          {{"q_num_heads", int64_t(4)}, {"kv_num_heads", int64_t(2)}, {"columns", Ints{1, 16, 0}}, {"head_sizes", Ints{7, 4}}}},
         {{{{1, 2, 3, 4}}, {{1, 2, 3, 4}}, {{1, 2, 3, 4}}, {.absent = true}, {{1, 2, 7, 4}}, {{1, 2, 7, 4}}},
          {},
          3},
         {{{{2, 4, 20, 8}}, {{2, 2, 33, 8}}, {{2, 2, 33, 8}}, {.shape = {2, 1, 20, 33}, .dtype = DType::boolean, .low = 0, .high = 1}}, {{"softcap", 1.5f}}},
         {{{{2, 2, 3, 8}}, {{2, 2, 9, 8}}, {{2, 2, 9, 8}}, {.absent = true}, {.absent = true}, {.absent = true}, {.shape = {2}, .dtype = DType::i64, .values = {2, 9}}},
          {{"left_window_size", int64_t(4)}, {"right_window_size", int64_t(1)}}}},
};

}  // namespace tenon::ops
