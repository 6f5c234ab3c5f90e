// Flatten: a matrix whose rows are the dimensions before `axis` and whose columns are the rest.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_fresh(0, a.dtype(0), 2, "flat"), Status();
  const int64_t rank = a.rank(0);
  int64_t axis = a.attrs.i("axis");
  if (axis < -rank || axis > rank) return invalid_model("axis ", axis, " is out of range for rank ", rank);
  if (axis < 0) axis += rank;
  a.set(0, a.dtype(0), {product(a.shape(0), 0, size_t(axis)), product(a.shape(0), size_t(axis))});
  return {};
}

extern const Op op_flatten{
    .name = "Flatten",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"input", kAny}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(1)}},
    .infer = infer,
    .reference = [](RefArgs& a) { return copy_all(a.x(0), a.y(0)), Status(); },
    .view = true,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 5}}}}, {{{{2, 3, 5}}}, {{"axis", int64_t(3)}}}, {{{{0, 4, 2}}}, {{"axis", int64_t(-1)}}}},
};

}  // namespace tenon::ops
