// Bernoulli: 1 with the probability given by each element of the input, else 0.
#include "ops/common/random.h"

namespace tenon::ops {

static Status reference(RefArgs& a) {
  OpRandom random(a.attrs);
  for (int64_t i = 0; i < a.y(0).size(); ++i) a.y(0).set(i, random.uniform() < a.x(0).at(i) ? 1 : 0);
  return {};
}

extern const Op op_bernoulli{
    .name = "Bernoulli",
    .version = 22,
    .compatible_from = 15,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output", kNumeric | kBool}},
    .attrs = {optional_attr("dtype", AttrKind::i), optional_attr("seed", AttrKind::f)},
    .infer = infer_random_like,
    .reference = reference,
    .deterministic = false,
    .samples = {{{{{3, 5}, DType::f32, 0, 1}}},
                {{{{4}, DType::f32, 0, 1}}, {{"dtype", int64_t(DType::boolean)}}}},
};

}  // namespace tenon::ops
