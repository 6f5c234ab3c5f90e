// PRelu: y = x, or slope * x below zero; slope broadcasts to the shape of x.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

extern const Op op_prelu{
    .name = "PRelu",
    .version = 16,
    .compatible_from = 7,
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
