// Transpose: dimension i of the output is dimension perm[i] of the input; by default the order is reversed.
#include "ops/common/movement.h"

namespace tenon::ops {

static Ints permutation(const Attrs& attrs, int64_t rank) {
  Ints perm = attrs.ints("perm");
  if (attrs.has("perm")) return perm;
  for (int64_t i = rank; i-- > 0;) perm.push_back(i);
  return perm;
}

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) {
    if (a.attrs.has("perm")) a.set_fresh(0, a.dtype(0), a.attrs.ints("perm").size(), "transposed");
    else a.set_unranked(0, a.dtype(0));
    return {};
  }
  const Ints perm = permutation(a.attrs, a.rank(0));
  if (int64_t(perm.size()) != a.rank(0))
    return invalid_model("perm ", perm, " does not fit an input of rank ", a.rank(0));
  const Ints order = TRY(normalize_axes(perm, a.rank(0)));
  if (order != perm) return invalid_model("perm ", perm, " is negative");
  SymShape shape;
  for (int64_t p : perm) shape.push_back(a.shape(0)[size_t(p)]);
  a.set(0, a.dtype(0), shape);
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  const Shape from = row_major_strides(a.x(0).shape());
  Shape strides;
  for (int64_t p : permutation(a.attrs, a.x(0).rank())) strides.push_back(from[size_t(p)]);
  copy_view(a.x(0), 0, strides, a.y(0));
  return {};
}

extern const Op op_transpose{
    .name = "Transpose",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"data", kAny}},
    .outputs = {{"transposed"}},
    .attrs = {optional_attr("perm", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 5}}}},
                {{{{2, 7, 3, 5}}}, {{"perm", Ints{0, 2, 1, 3}}}},
                {{{{4, 0}}}},
                {{{{33, 65}, DType::i8, -9, 9}}}},
};

}  // namespace tenon::ops
