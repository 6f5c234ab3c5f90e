// TensorScatter: writes `update` into a copy of a cache along `axis`, from write_indices[batch] on; in circular mode it
// wraps around the end.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const std::string& mode = a.attrs.s("mode");
  if (mode != "linear" && mode != "circular") return invalid_model("mode '", mode, "' is neither linear nor circular");
  TRY(check_vector(a, 2));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  if (axis == 0) return invalid_model("axis is the batch dimension");
  const SymShape& cache = a.shape(0);
  if (a.ranked(1)) {
    const SymShape& update = a.shape(1);
    bool fits = update.size() == cache.size();
    for (size_t i = 0; fits && i < cache.size(); ++i)
      if (cache[i].is_const() && update[i].is_const())
        fits = int64_t(i) == axis ? update[i].constant() <= cache[i].constant() : update[i] == cache[i];
    if (!fits) return invalid_model("update ", to_string(update), " does not fit the cache ", to_string(cache));
  }
  if (auto n = vector_length(a, 2); n && cache[0].is_const() && !cache[0].is(int64_t(*n)))
    return invalid_model("write_indices has ", *n, " elements for a batch of ", cache[0].constant());
  a.set(0, a.dtype(0), cache);
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const Tensor& update = a.x(1);
  const int64_t axis = (a.attrs.i("axis") + y.rank()) % y.rank();
  const bool circular = a.attrs.s("mode") == "circular";
  const AxisSplit s = split_at(y.shape(), axis);
  const int64_t steps = update.dim(axis);
  copy_all(a.x(0), y);
  if (update.size() == 0) return {};
  for (int64_t o = 0; o < s.outer; ++o) {
    int64_t first = a.has(2) ? a.x(2).int_at(o / (s.outer / y.dim(0))) : 0;
    if (first < 0 || first > (circular ? INT64_MAX - steps : s.n - steps))
      return invalid_argument("write index ", first, " with ", steps, " steps is out of a cache of ", s.n);
    for (int64_t t = 0; t < steps; ++t)
      copy_elements(y.dtype(), y.data(), (o * s.n + (first + t) % s.n) * s.inner, update.data(),
                    (o * steps + t) * s.inner, s.inner);
  }
  return {};
}

extern const Op op_tensor_scatter{
    .name = "TensorScatter",
    .version = 24,
    .compatible_from = 24,
    .inputs = {{"past_cache", kAny}, {"update", kAny}, {"write_indices", DType::i64, 0, Param::optional}},
    .outputs = {{"present_cache"}},
    .attrs = {{"axis", int64_t(-2)}, {"mode", std::string("linear")}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{2, 4, 5}}, {{2, 1, 5}}, {{2}, DType::i64, 0, 0, {1, 3}}}},
                {{{{1, 2, 4, 3}}, {{1, 2, 3, 3}}, {{1}, DType::i64, 0, 0, {2}}}, {{"mode", std::string("circular")}}},
                {{{{2, 4, 5}}, {{2, 0, 5}}}}},
};

}  // namespace tenon::ops
