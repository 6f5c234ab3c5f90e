// FlexAttention (preview): Y = prob_mod(softmax(score_mod(Q K' * scale))) V, where the modifiers are
// subgraphs from a tensor to one of the same shape; left out, they change nothing.
#include <algorithm>
#include <cmath>

#include "ops/common/attention.h"
#include "ops/common/control_flow.h"
#include "ops/common/flops.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

static Result<DType> precision_of(const Attrs& attrs, DType t) {
  if (!attrs.has("softmax_precision")) return t == DType::f64 ? DType::f64 : DType::f32;
  const int64_t v = attrs.i("softmax_precision");
  if (v <= 0 || v >= kNumDTypes || !kFloats.contains(DType(v)))
    return invalid_model("softmax_precision is ", v);
  return DType(v);
}

static Status infer(InferArgs& a) {
  const DType t = a.dtype(0), precision = TRY(precision_of(a.attrs, t));
  TRY(formal_inputs(a.attrs, a.in.size(), 3));
  for (size_t i = 0; i < 3; ++i)
    if (a.ranked(i) && a.rank(i) != 4)
      return invalid_model("input '", a.op.inputs[i].name, "' must have rank 4, it has rank ", a.rank(i));
  const HeadDims q = TRY(head_dims(a, 0, 0)), k = TRY(head_dims(a, 1, 0)), v = TRY(head_dims(a, 2, 0));
  const Dim batch = TRY(unify_dims(TRY(unify_dims(q.batch, k.batch, "the batch")), v.batch, "the batch"));
  TRY(unify_dims(q.size, k.size, "the head size of Q and K"));
  const Dim kv_heads = TRY(unify_dims(k.heads, v.heads, "the number of heads of K and V"));
  const Dim kv_len = TRY(unify_dims(k.length, v.length, "the length of K and V"));
  if (q.heads.is_const() && kv_heads.is_const() &&
      (kv_heads.constant() < 1 ? q.heads.constant() != 0 : q.heads.constant() % kv_heads.constant() != 0))
    return invalid_model("Q has ", q.heads.constant(), " heads, which ", kv_heads.constant(),
                         " heads of K do not divide");
  ValueInfo scores;
  scores.dtype = precision;
  scores.ranked = true;
  scores.shape = {batch, q.heads, q.length, kv_len};
  for (const char* mod : {"score_mod", "prob_mod"}) {
    if (!a.attrs.has(mod)) continue;
    std::vector<ValueInfo> in = {scores};
    in.insert(in.end(), a.in.begin() + 3, a.in.end());
    const std::vector<ValueInfo> out = TRY(a.infer_subgraph(mod, std::move(in)));
    if (out.size() != 1 || out[0].dtype != precision || (out[0].ranked && out[0].shape.size() != 4))
      return invalid_model(mod, " must give one tensor like its input");
  }
  a.set(0, t, {batch, q.heads, q.length, v.size});
  return {};
}

// Runs a modifier where there is one.
static Status modify(RefArgs& a, const char* mod, DType precision, const Shape& shape,
                     std::vector<double>& values) {
  if (!a.attrs.has(mod)) return {};
  Tensor t = TRY(Tensor::allocate(precision, shape));
  store_doubles(precision, t.data(), 0, t.size(), values.data());
  std::vector<Tensor> in = {t};
  in.insert(in.end(), a.in.begin() + 3, a.in.end());
  const std::vector<Tensor> out = TRY(a.run_subgraph(mod, std::move(in)));
  if (out.size() != 1 || out[0].shape() != shape)
    return invalid_argument(mod, " changes the shape of its input");
  values = out[0].to_doubles();
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &q = a.x(0), &k = a.x(1), &v = a.x(2);
  const DType precision = TRY(precision_of(a.attrs, q.dtype()));
  const int64_t batch = q.dim(0), heads = q.dim(1), q_len = q.dim(2), head = q.dim(3), kv_heads = k.dim(1);
  const int64_t kv_len = k.dim(2), v_head = v.dim(3), group = kv_heads ? heads / kv_heads : 1;
  const double scale = a.attrs.has("scale") ? double(a.attrs.f("scale"))
                       : head               ? 1 / std::sqrt(double(head))
                                            : 1;
  const Shape shape = {batch, heads, q_len, kv_len};
  const std::vector<double> qs = q.to_doubles(), vs = v.to_doubles(),
                            kt = transpose_last_two(k.to_doubles(), k.shape());
  std::vector<double> scores(size_t(num_elements(shape))), y(size_t(a.y(0).size()));
  for (int64_t h = 0; h < batch * heads; ++h) {
    const int64_t kv = h / heads * kv_heads + h % heads / group;
    matmul(qs.data() + h * q_len * head, kt.data() + kv * head * kv_len, scores.data() + h * q_len * kv_len,
           q_len, head, kv_len);
  }
  for (double& s : scores) s *= scale;
  TRY(modify(a, "score_mod", precision, shape, scores));
  for (int64_t r = 0; r < batch * heads * q_len; ++r) {
    double *row = scores.data() + r * kv_len, top = -HUGE_VAL, sum = 0;
    for (int64_t j = 0; j < kv_len; ++j) top = std::isnan(row[j]) ? row[j] : std::max(top, row[j]);
    for (int64_t j = 0; j < kv_len; ++j) sum += row[j] = std::exp(row[j] - top);
    for (int64_t j = 0; j < kv_len; ++j) row[j] /= sum;
  }
  TRY(modify(a, "prob_mod", precision, shape, scores));
  for (int64_t h = 0; h < batch * heads; ++h) {
    const int64_t kv = h / heads * kv_heads + h % heads / group;
    matmul(scores.data() + h * q_len * kv_len, vs.data() + kv * kv_len * v_head,
           y.data() + h * q_len * v_head, q_len, kv_len, v_head);
  }
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, a.y(0).size(), y.data());
  return {};
}

static Flops count(const FlopArgs& a) {
  return attention_flops({a.elements(0), a.results(), a.dim(0, 0) * a.dim(0, 1) * a.dim(0, 2), a.dim(0, 2), 0, a.dim(1, 2), false});
}

extern const Op op_flex_attention{
    .name = "FlexAttention",
    .domain = "ai.onnx.preview",
    .inputs = {{"Q", kFloats}, {"K", kFloats}, {"V", kFloats}, {"captured", kAny, 0, Param::variadic}},
    .attrs = {{"captures", int64_t(0)},
              optional_attr("prob_mod", AttrKind::graph),
              optional_attr("scale", AttrKind::f),
              optional_attr("score_mod", AttrKind::graph),
              optional_attr("softmax_precision", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .flops = count,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 4, 3, 8}}, {{2, 2, 5, 8}}, {{2, 2, 5, 6}}}},
                {{{{1, 1, 1, 4}}, {{1, 1, 7, 4}}, {{1, 1, 7, 4}}}}},
};

}  // namespace tenon::ops
