// SwiGLU: y = a * sigmoid(alpha * a) * b, of equal shapes.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(0) && a.ranked(1) && a.rank(0) != a.rank(1))
    return invalid_model("shapes ", to_string(a.shape(0)), " and ", to_string(a.shape(1)),
                         " must be the same");
  if (!a.ranked(0) && a.ranked(1)) return a.set(0, a.dtype(0), a.shape(1)), Status();
  TRY(infer_like_first(a));
  return a.ranked(1) ? check_broadcasts_to(a.shape(0), a.shape(1)) : Status();
}

extern const Op op_swiglu{
    .name = "SwiGLU",
    .version = 28,
    .compatible_from = 28,
    .inputs = {{"A", kFloats}, {"B", kFloats}},
    .attrs = {{"alpha", 1.0f}},
    .scalar =
        [](const ScalarArgs& a) {
          S gate = a.x(0);
          return gate * unary(Prim::sigmoid, a.attrs.f("alpha") * gate) * a.x(1);
        },
    .infer = infer,
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}, {{2, 3, 5}}}}, {{{{0, 4}}, {{0, 4}}}}, {{{{7}}, {{7}}}, {{"alpha", 1.5f}}}},
};

}  // namespace tenon::ops
