// BitShift: z = x shifted by y bits to the left or right; a right shift of signed integers keeps the sign.
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const std::string& direction = a.attrs.s("direction");
  if (direction != "LEFT" && direction != "RIGHT")
    return invalid_model("attribute 'direction' must be LEFT or RIGHT, not '", direction, "'");
  return infer_pointwise(a);
}

extern const Op op_bit_shift{
    .name = "BitShift",
    .version = 28,
    .compatible_from = 11,
    .inputs = {{"X", kInts}, {"Y", kInts}},
    .outputs = {{"Z"}},
    .attrs = {required_attr("direction", AttrKind::s)},
    .scalar =
        [](const ScalarArgs& a) {
          return binary(a.attrs.s("direction") == "LEFT" ? Prim::shift_left : Prim::shift_right, a.x(0),
                        a.x(1));
        },
    .infer = infer,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}, DType::u32, 0, 999}, {{5}, DType::u32, 0, 40}}, {{"direction", "LEFT"}}},
                {{{{7}, DType::u8, 0, 255}, {{7}, DType::u8, 0, 9}}, {{"direction", "RIGHT"}}},
                {{{{7}, DType::i32, -99, 99}, {{7}, DType::i32, -2, 40}}, {{"direction", "RIGHT"}}}},
};

}  // namespace tenon::ops
