// RotaryEmbedding: turns pairs of numbers of each head by the angle of the token's position; cosines and
// sines come from caches, picked by position_ids or given for each token.
#include "ops/common/rotary.h"

#include "ops/common/attention.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const bool by_position = a.has(3);
  for (size_t i : {1, 2})
    if (a.ranked(i) && a.rank(i) != (by_position ? 2 : 3))
      return invalid_model("the caches must have rank ", by_position ? "2 with" : "3 without",
                           " position_ids");
  if (a.ranked(3) && a.rank(3) != 2)
    return invalid_model("position_ids must have rank 2, it has rank ", a.rank(3));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.rank(0) != 3 && a.rank(0) != 4)
    return invalid_model("the input must have rank 3 or 4, it has rank ", a.rank(0));
  if (a.rank(0) == 3 && a.attrs.i("num_heads") < 1)
    return invalid_model("an input of rank 3 needs num_heads");
  a.set(0, a.dtype(0), a.shape(0));
  auto shape = [&](size_t i) { return a.ranked(i) ? to_concrete(a.shape(i)) : std::nullopt; };
  auto x = shape(0), cos = shape(1), sin = shape(2), ids = shape(3);
  if (!x || !cos || !sin || (by_position && !ids)) return {};
  const RotaryProblem p =
      TRY(rotary_problem(*x, *cos, *sin, a.attrs.i("num_heads"), a.attrs.i("rotary_embedding_dim"),
                         a.attrs.i("interleaved") != 0));
  const Shape& tokens = by_position ? *ids : *cos;
  if (tokens[0] != p.batch || tokens[1] != p.length)
    return invalid_model(by_position ? "position_ids" : "cos_cache", " of shape ", tokens, " for ", p.batch,
                         " x ", p.length, " tokens");
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const RotaryProblem p =
      TRY(rotary_problem(x.shape(), a.x(1).shape(), a.x(2).shape(), a.attrs.i("num_heads"),
                         a.attrs.i("rotary_embedding_dim"), a.attrs.i("interleaved") != 0));
  std::vector<double> v = x.to_doubles();
  if (x.rank() == 4) v = merge_heads(v, p.batch, p.heads, p.length);
  Ints rows;
  if (a.has(3)) {
    rows = a.x(3).to_ints();
    for (int64_t r : rows)
      if (r < 0 || r >= a.x(1).dim(0))
        return invalid_argument("position ", r, " is out of range [0, ", a.x(1).dim(0), ")");
  }
  rotate(v, p, a.x(1).to_doubles(), a.x(2).to_doubles(), [&](int64_t b, int64_t t) {
    const int64_t token = b * p.length + t;
    return rows.empty() ? token : rows[size_t(token)];
  });
  if (x.rank() == 4) v = split_heads(v, p.batch, p.length, p.heads);
  store_doubles(y.dtype(), y.data(), 0, y.size(), v.data());
  return {};
}

extern const Op op_rotary_embedding{
    .name = "RotaryEmbedding",
    .version = 23,
    .compatible_from = 23,
    .inputs = {{"X", kFloats, 'T'},
               {"cos_cache", kFloats, 'T'},
               {"sin_cache", kFloats, 'T'},
               {"position_ids", DType::i64, 0, Param::optional}},
    .attrs = {{"interleaved", int64_t(0)}, {"num_heads", int64_t(0)}, {"rotary_embedding_dim", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 4, 8}}, {{50, 4}}, {{50, 4}}, {{2, 4}, DType::i64, 0, 49}}},
                {{{{2, 5, 12}}, {{2, 5, 2}}, {{2, 5, 2}}},
                 {{"num_heads", int64_t(3)}, {"interleaved", int64_t(1)}}},
                {{{{1, 2, 3, 8}}, {{1, 3, 2}}, {{1, 3, 2}}}, {{"rotary_embedding_dim", int64_t(4)}}}},
};

}  // namespace tenon::ops
