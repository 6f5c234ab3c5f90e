// Identity: y = x.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  a.set(0, a.dtype(0), a.shape(0));
  if (a.value(0)) a.set_value(0, *a.value(0));
  return {};
}

extern const Op op_identity{
    .name = "Identity",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"input", kAny}},
    .outputs = {{"output"}},
    .infer = infer,
    .reference = [](RefArgs& a) { return copy_all(a.x(0), a.y(0)), Status(); },
    .view = true,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3}}}}, {{{{0, 4}}}}, {{{{5}, DType::boolean, 0, 1}}}},
};

}  // namespace tenon::ops
