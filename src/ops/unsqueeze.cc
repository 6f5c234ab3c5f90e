// Unsqueeze: inserts dimensions of size 1 at the given places of the output shape.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status upgrade_unsqueeze_1(Upgrade& u) {
  u.ints_to_input("axes", 1);
  return {};
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  const auto axes = a.const_ints(1);
  const auto n = axes ? axes->size() : vector_length(a, 1);
  if (!a.ranked(0) || !n) return a.set_unranked(0, a.dtype(0)), Status();
  const size_t rank = a.shape(0).size() + *n;
  if (rank > kMaxRank) return unsupported("Unsqueeze to ", rank, " dimensions");
  if (!axes) return a.set_fresh(0, a.dtype(0), rank, "unsqueezed"), Status();
  std::vector<bool> inserted(rank, false);
  for (int64_t axis : TRY(normalize_axes(*axes, int64_t(rank)))) inserted[size_t(axis)] = true;
  SymShape shape;
  size_t from = 0;
  for (size_t i = 0; i < rank; ++i) shape.push_back(inserted[i] ? Dim(1) : a.shape(0)[from++]);
  a.set(0, a.dtype(0), shape);
  if (auto v = known_value(a, 0); v && rank <= 1) a.set_value(0, *v);
  return {};
}

extern const Op op_unsqueeze{
    .name = "Unsqueeze",
    .version = 25,
    .compatible_from = 13,
    .older = {{1, upgrade_unsqueeze_1}},
    .inputs = {{"data", kAny}, {"axes", DType::i64, 0}},
    .outputs = {{"expanded"}},
    .infer = infer,
    .reference = [](RefArgs& a) { return copy_all(a.x(0), a.y(0)), Status(); },
    .view = true,
    .fusion = Fusion::injective,
    .samples = {{{{{3, 5}}, {{2}, DType::i64, 0, 0, {0, -1}}}}, {{{{0}}, {{1}, DType::i64, 0, 0, {1}}}}},
};

}  // namespace tenon::ops
