// Gelu: y = x * P(N(0, 1) <= x) = x/2 * (1 + erf(x / sqrt(2))), or its approximation by tanh.
#include "ops/common/gelu.h"
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const std::string& approximate = a.attrs.s("approximate");
  if (approximate != "none" && approximate != "tanh")
    return invalid_model("attribute 'approximate' must be none or tanh, not '", approximate, "'");
  return infer_pointwise(a);
}

extern const Op op_gelu{
    .name = "Gelu",
    .version = 20,
    .compatible_from = 20,
    .inputs = {{"X", kFloats}},
    .attrs = {{"approximate", std::string("none")}},
    .scalar =
        [](const ScalarArgs& a) {
          return a.attrs.s("approximate") == "tanh" ? gelu_tanh(a.x(0)) : gelu(a.x(0));
        },
    .infer = infer,
    .fusion = Fusion::elementwise,
    .tolerance = {.f32 = 8},
    .samples = {{{{{2, 3, 5}}}},
                {{{{0, 4}}}},
                {{{{17}, DType::f16}}},
                {{{{3, 3}}}, {{"approximate", "tanh"}}}},
};

}  // namespace tenon::ops
