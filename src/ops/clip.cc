// Clip: y = min(max(x, low), high); an absent end does not limit.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

// Before opset 11 the ends were attributes.
static Status upgrade_clip_6(Upgrade& u) {
  const DType type = u.info(u.node.inputs[0]).dtype;
  if (!is_float(type)) return unsupported("opset ", u.opset, " Clip of an input of type ", name(type));
  for (const char* end : {"min", "max"}) {
    const bool present = u.node.attrs.has(end);
    u.node.inputs.push_back(present ? u.constant(Tensor::scalar_float(u.node.attrs.f(end), type)) : "");
    u.node.attrs.erase(end);
  }
  return {};
}

static S clip(const ScalarArgs& a) {
  S y = a.x(0);
  if (a.has(1)) y = max(y, a.x(1));
  if (a.has(2)) y = min(y, a.x(2));
  return y;
}

extern const Op op_clip{
    .name = "Clip",
    .version = 13,
    .compatible_from = 11,
    .older = {{6, upgrade_clip_6}},
    .inputs = {{"input", kNumeric},
               {"min", kNumeric, 'T', Param::optional},
               {"max", kNumeric, 'T', Param::optional}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return clip(a); },
    .infer = infer_like_first,
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}, {{}, DType::f32, -1, -1}, {{}, DType::f32, 1, 1}}},
                {{{{9}, DType::i32, -9, 9}, {.absent = true}, {{}, DType::i32, 3, 3}}},
                {{{{4, 3}}, {{}, DType::f32, 0, 0}}},
                {{{{0, 4}}}}},
};

}  // namespace tenon::ops
