// ConstantOfShape: a tensor of the given shape whose elements are all `value` (default: float 0).
#include "ops/common/movement.h"

namespace tenon::ops {

static Tensor element(const Attrs& attrs) {
  const Tensor* t = attrs.tensor("value");
  return t ? *t : Tensor::scalar_float(0);
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 0));
  const Tensor value = element(a.attrs);
  if (value.size() != 1) return invalid_model("value has ", value.size(), " elements, it must have one");
  const DType type = value.dtype();
  const auto shape = known_value(a, 0);
  if (!shape) {
    if (auto n = vector_length(a, 0); n && *n <= kMaxRank) a.set_fresh(0, type, *n, "filled");
    else a.set_unranked(0, type);
    return {};
  }
  if (shape->size() > kMaxRank) return unsupported("a constant of ", shape->size(), " dimensions");
  a.set(0, type, *shape);
  constexpr int64_t kMost = 256;
  const Dim n = product(*shape);
  if (shape->size() <= 1 && n.is_const() && n.constant() >= 0 && n.constant() <= kMost && kIndex.contains(type))
    a.set_value(0, std::vector<Dim>(size_t(n.constant()), Dim(value.int_at(0))));
  return {};
}

static Status reference(RefArgs& a) {
  fill(a.y(0), element(a.attrs));
  return {};
}

extern const Op op_constant_of_shape{
    .name = "ConstantOfShape",
    .version = 25,
    .compatible_from = 9,
    .inputs = {{"input", DType::i64, 0}},
    .outputs = {{"output"}},
    .attrs = {optional_attr("value", AttrKind::tensor)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2}, DType::i64, 0, 0, {2, 3}}}}, {{{{3}, DType::i64, 0, 0, {4, 0, 2}}}}},
};

}  // namespace tenon::ops
