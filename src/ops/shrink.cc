// Shrink: y = x + bias below -lambd, x - bias above lambd, 0 between.
#include "ops/op.h"

namespace tenon::ops {

// Integers compute as floats, since bias and lambd are.
static S shrink(const ScalarArgs& a) {
  S x = a.x(0);
  const DType type = x.type();
  if (!is_float(type)) x = cast(x, bits(type) < 32 ? DType::f32 : DType::f64);
  const double bias = a.attrs.f("bias"), lambd = a.attrs.f("lambd");
  S y = select(x < -lambd, x + bias, select(x > lambd, x - bias, x.same(0)));
  return is_float(type) ? y : cast(y, type);
}

extern const Op op_shrink{
    .name = "Shrink",
    .version = 9,
    .compatible_from = 9,
    .inputs = {{"input", kNumeric}},
    .outputs = {{"output"}},
    .attrs = {{"bias", 0.0f}, {"lambd", 0.5f}},
    .scalar = [](const ScalarArgs& a) { return shrink(a); },
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}},
                {{{{0, 4}}}},
                {{{{17}, DType::f16}}},
                {{{{9}, DType::i32, -4, 4}}, {{"lambd", 1.5f}, {"bias", 1.5f}}}},
};

}  // namespace tenon::ops
