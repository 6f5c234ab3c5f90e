// Pow: z = x^y, with numpy broadcasting.
#include "ops/common/old_broadcast.h"
#include "ops/op.h"

namespace tenon::ops {

// Types may differ: the result has that of the base. Narrow floats compute in f32, an integer raised to a
// float in f64.
static S power(const ScalarArgs& a) {
  S x = a.x(0), y = a.x(1);
  const DType to = x.type();
  if (to == y.type()) return pow(x, y);
  DType wide = is_float(to)         ? (to == DType::f64 ? DType::f64 : DType::f32)
               : is_float(y.type()) ? DType::f64
                                    : DType::i64;
  return cast(pow(cast(x, wide), cast(y, wide)), to);
}

extern const Op op_pow{
    .name = "Pow",
    .version = 15,
    .compatible_from = 7,
    .older = {{6, upgrade_broadcast_6}},
    .inputs = {{"X", kFloats | kIndex}, {"Y", kNumeric, 0}},
    .outputs = {{"Z"}},
    .scalar = [](const ScalarArgs& a) { return power(a); },
    .fusion = Fusion::broadcast,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 5}, DType::f32, 0.1, 3}, {{5}}}},
                {{{{4, 3}}, {{}, DType::f32, 2, 2}}},
                {{{{7}, DType::i32, -4, 4}, {{7}, DType::i32, 0, 5}}},
                {{{{7}, DType::f32, -4, 4}, {{1}, DType::i64, 3, 3}}},
                {{{{0, 2}}, {{2}}}}},
};

}  // namespace tenon::ops
