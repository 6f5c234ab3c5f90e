// Mod: the remainder of a / b: with the sign of b, or with that of a when `fmod` is 1; an integer modulo zero
// gives 0.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t fmod = a.attrs.i("fmod");
  if (fmod != 0 && fmod != 1) return invalid_model("attribute 'fmod' must be 0 or 1, not ", fmod);
  return infer_pointwise(a);
}

extern const Op op_mod{
    .name = "Mod",
    .version = 28,
    .compatible_from = 10,
    .inputs = {{"A", kNumeric}, {"B", kNumeric}},
    .outputs = {{"C"}},
    .attrs = {{"fmod", int64_t(0)}},
    .scalar =
        [](const ScalarArgs& a) {
          return binary(a.attrs.i("fmod") ? Prim::fmod : Prim::mod, a.x(0), a.x(1));
        },
    .infer = infer,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}, DType::i32, -99, 99}, {{5}, DType::i32, 1, 9}}},
                {{{{1, 7}, DType::i32, -99, 99}, {{4, 1}, DType::i32, -9, -1}}, {{"fmod", int64_t(1)}}},
                {{{{9}, DType::f32, -8, 8}, {{1}, DType::f32, 1.5, 1.5}}, {{"fmod", int64_t(1)}}},
                {{{{0, 2}}, {{2}, DType::f32, 1, 2}}}},
};

}  // namespace tenon::ops
