// PRelu: y = x, or slope * x below zero; slope broadcasts to the shape of x.
#include "ops/common/old_broadcast.h"
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

// Before opset 7 a slope of rank 1 was one for each channel, dimension 1.
static Status upgrade_prelu_6(Upgrade& u) {
  if (u.node.inputs.size() < 2) return {};
  const ValueInfo x = u.info(u.node.inputs[0]), slope = u.info(u.node.inputs[1]);
  if (!x.ranked || !slope.ranked) return unsupported("PRelu of opset 6 with inputs of unknown rank");
  if (slope.shape.size() == 1 && x.shape.size() > 2 && !slope.shape[0].is(1))
    append_dims(u, 1, 1, int64_t(x.shape.size()) - 2);
  return {};
}

extern const Op op_prelu{
    .name = "PRelu",
    .version = 16,
    .compatible_from = 7,
    .older = {{6, upgrade_prelu_6}},
    .inputs = {{"X", kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}},
               {"slope", kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}}},
    .scalar =
        [](const ScalarArgs& a) {
          S x = a.x(0);
          return select(x < 0, a.x(1) * x, x);
        },
    .infer = infer_like_first,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}}, {{3, 1}}}},
                {{{{4, 3}}, {{}}}},
                {{{{7}, DType::i32, -9, 9}, {{1}, DType::i32, -3, 3}}},
                {{{{0, 2}}, {{2}}}}},
};

}  // namespace tenon::ops
