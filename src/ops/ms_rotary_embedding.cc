// com.microsoft RotaryEmbedding: ONNX's, with the positions before the caches and always given: one for each
// token, or that of the first token.
#include "ops/common/attention.h"
#include "ops/common/rotary.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.attrs.i("is_packed_batching") != 0) return unsupported("RotaryEmbedding of packed batches");
  if (a.attrs.f("scale") != 1) return unsupported("RotaryEmbedding with a scale");
  for (size_t i : {2, 3})
    if (a.ranked(i) && a.rank(i) != 2) return invalid_model("the caches must have rank 2");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.rank(0) != 3 && a.rank(0) != 4)
    return invalid_model("the input must have rank 3 or 4, it has rank ", a.rank(0));
  a.set(0, a.dtype(0), a.shape(0));
  auto shape = [&](size_t i) { return a.ranked(i) ? to_concrete(a.shape(i)) : std::nullopt; };
  auto x = shape(0), ids = shape(1), cos = shape(2), sin = shape(3);
  if (!x || !ids || !cos || !sin) return {};
  const RotaryProblem p =
      TRY(rotary_problem(*x, *cos, *sin, a.attrs.i("num_heads"), a.attrs.i("rotary_embedding_dim"),
                         a.attrs.i("interleaved") != 0));
  if ((ids->size() > 1 || num_elements(*ids) != 1) && *ids != Shape{p.batch, p.length})
    return invalid_model("position_ids of shape ", *ids, " for ", p.batch, " x ", p.length, " tokens");
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(0), &cos = a.x(2);
  Tensor& y = a.y(0);
  const RotaryProblem p =
      TRY(rotary_problem(x.shape(), cos.shape(), a.x(3).shape(), a.attrs.i("num_heads"),
                         a.attrs.i("rotary_embedding_dim"), a.attrs.i("interleaved") != 0));
  const Ints ids = a.x(1).to_ints();
  const bool each = a.x(1).rank() == 2;  // else the position of the first token
  for (int64_t id : ids) {
    const int64_t last = each ? id : id > INT32_MAX ? id : id + p.length - 1;
    if (y.size() && (id < 0 || last >= cos.dim(0)))
      return invalid_argument("position ", last, " is out of range [0, ", cos.dim(0), ")");
  }
  std::vector<double> v = x.to_doubles();
  if (x.rank() == 4) v = merge_heads(v, p.batch, p.heads, p.length);
  rotate(v, p, cos.to_doubles(), a.x(3).to_doubles(),
         [&](int64_t b, int64_t t) { return each ? ids[size_t(b * p.length + t)] : ids[0] + t; });
  if (x.rank() == 4) v = split_heads(v, p.batch, p.length, p.heads);
  store_doubles(y.dtype(), y.data(), 0, y.size(), v.data());
  return {};
}

extern const Op op_ms_rotary_embedding{
    .name = "RotaryEmbedding",
    .domain = "com.microsoft",
    .inputs = {{"input", kFloats, 'T'},
               {"position_ids", DType::i64, 0},
               {"cos_cache", kFloats, 'T'},
               {"sin_cache", kFloats, 'T'}},
    .outputs = {{"output"}},
    .attrs = {{"interleaved", int64_t(0)},
              {"is_packed_batching", int64_t(0)},
              {"num_heads", int64_t(0)},
              {"rotary_embedding_dim", int64_t(0)},
              {"scale", 1.0f}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 4, 8}}, {{2, 4}, DType::i64, 0, 49}, {{50, 4}}, {{50, 4}}}},
                {{{{2, 5, 12}}, {{1}, DType::i64, 0, 9}, {{50, 2}}, {{50, 2}}},
                 {{"interleaved", int64_t(1)}}}},
};

}  // namespace tenon::ops
