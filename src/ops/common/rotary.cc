#include "ops/common/rotary.h"

namespace tenon {

Result<RotaryProblem> rotary_problem(const Shape& x, const Shape& cos, const Shape& sin, int64_t num_heads,
                                     int64_t rotary_dim, bool interleaved) {
  RotaryProblem p;
  p.interleaved = interleaved;
  if (cos.empty() || cos != sin)
    return invalid_model("cos_cache of shape ", cos, " and sin_cache of shape ", sin);
  if (rotary_dim < 0) return invalid_model("rotary_embedding_dim is ", rotary_dim);
  if (x.size() == 4) {
    p.batch = x[0], p.heads = x[1], p.length = x[2], p.size = x[3];
  } else if (x.size() == 3) {
    if (num_heads == 0 && rotary_dim == 0) {  // the caches tell the size of a head
      if (cos.back() < 1 || x[2] % (2 * cos.back()))
        return invalid_model("hidden size ", x[2], " is no multiple of twice the caches' ", cos.back());
      num_heads = x[2] / (2 * cos.back());
    }
    if (num_heads < 0 || (num_heads == 0 ? x[2] != 0 : x[2] % num_heads != 0))
      return invalid_model("hidden size ", x[2], " does not divide into ", num_heads, " heads");
    p.batch = x[0], p.length = x[1], p.heads = num_heads, p.size = num_heads ? x[2] / num_heads : 0;
  } else {
    return invalid_model("rotary embedding of an input of rank ", x.size());
  }
  const int64_t turned = rotary_dim ? rotary_dim : p.size;
  if (turned % 2 || turned > p.size)
    return invalid_model("rotary embedding of ", turned, " numbers of a head of ", p.size);
  p.half = turned / 2;
  if (cos.back() != p.half)
    return invalid_model("the caches hold ", cos.back(), " angles for ", p.half, " pairs");
  return p;
}

}  // namespace tenon
