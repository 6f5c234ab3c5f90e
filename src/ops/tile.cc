// Tile: the input repeated repeats[i] times along dimension i.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  const auto repeats = known_value(a, 1);
  if (!a.ranked(0)) {
    if (auto n = vector_length(a, 1); n && *n <= kMaxRank) a.set_fresh(0, a.dtype(0), *n, "tiled");
    else a.set_unranked(0, a.dtype(0));
    return {};
  }
  if (repeats && int64_t(repeats->size()) != a.rank(0))
    return invalid_model("repeats has ", repeats->size(), " elements for an input of rank ", a.rank(0));
  SymShape shape = a.shape(0);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (repeats && known_negative((*repeats)[i]).value_or(false))
      return invalid_model("repeats ", to_string(*repeats), " is negative");
    shape[i] = repeats ? shape[i] * (*repeats)[i] : a.fresh("tiled");
  }
  a.set(0, a.dtype(0), shape);
  propagate_values(a, {0});
  return {};
}

// Both tensors are seen with each dimension split in [repeats, size]; the input's stride along repeats is 0.
static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  if (a.y(0).size() == 0) return {};
  const Shape own = row_major_strides(x.shape());
  Shape shape, strides;
  for (size_t i = 0; i < own.size(); ++i) {
    shape.insert(shape.end(), {a.x(1).int_at(int64_t(i)), x.shape()[i]});
    strides.insert(strides.end(), {0, own[i]});
  }
  Tensor split = a.y(0).reshaped(shape);
  copy_view(x, 0, strides, split);
  return {};
}

extern const Op op_tile{
    .name = "Tile",
    .version = 13,
    .compatible_from = 6,
    .inputs = {{"input", kAny}, {"repeats", DType::i64, 0}},
    .outputs = {{"output"}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3}}, {{2}, DType::i64, 0, 0, {2, 3}}}}, {{{{1, 5}}, {{2}, DType::i64, 0, 0, {0, 1}}}}},
};

}  // namespace tenon::ops
