// Size: the number of elements of the input, as a scalar.
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  a.set(0, DType::i64, {});
  if (a.ranked(0)) a.set_value(0, {product(a.shape(0))});
  return {};
}

extern const Op op_size{
    .name = "Size",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"data", kAny}},
    .outputs = {{"size"}},
    .infer = infer,
    .reference = [](RefArgs& a) { return a.y(0).set_int(0, a.x(0).size()), Status(); },
    .samples = {{{{{2, 3, 5}}}}, {{{{4, 0}}}}, {{{{}}}}},
};

}  // namespace tenon::ops
