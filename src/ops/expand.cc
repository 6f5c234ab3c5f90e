// Expand: the input broadcast against the given shape, as numpy does (the shape may be the smaller side).
#include "ops/common/movement.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

// Nothing is known of the wanted shape but its length: a dimension that is not 1 stays, others may grow.
static void infer_unknown(InferArgs& a, std::optional<size_t> length) {
  if (!a.ranked(0) || !length || *length > kMaxRank) return a.set_unranked(0, a.dtype(0));
  const SymShape& x = a.shape(0);
  const size_t rank = std::max(x.size(), *length);
  SymShape shape;
  for (size_t i = 0; i < rank; ++i) {
    const bool own = i + x.size() >= rank;
    const Dim d = own ? x[i + x.size() - rank] : Dim(1);
    const bool fixed = i + *length < rank || (d.is_const() && !d.is(1));
    shape.push_back(fixed ? d : a.fresh("expanded"));
  }
  a.set(0, a.dtype(0), shape);
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  const auto want = known_value(a, 1);
  if (!want) return infer_unknown(a, vector_length(a, 1)), Status();
  if (want->size() > kMaxRank) return unsupported("Expand to ", want->size(), " dimensions");
  for (const Dim& d : *want)
    if (known_negative(d).value_or(false)) return invalid_model("shape ", to_string(*want), " is negative");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  a.set(0, a.dtype(0), TRY(broadcast_shapes(a.shape(0), *want)));
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  copy_view(a.x(0), 0, broadcast_strides(a.x(0).shape(), a.y(0).shape()), a.y(0));
  return {};
}

extern const Op op_expand{
    .name = "Expand",
    .version = 13,
    .compatible_from = 8,
    .inputs = {{"input", kAny}, {"shape", DType::i64, 0}},
    .outputs = {{"output"}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::broadcast,
    .samples = {{{{{3, 1}}, {{3}, DType::i64, 0, 0, {2, 1, 5}}}},
                {{{{1, 4}}, {{2}, DType::i64, 0, 0, {0, 4}}}},
                {{{{2, 3}}, {{1}, DType::i64, 0, 0, {1}}}}},
};

}  // namespace tenon::ops
