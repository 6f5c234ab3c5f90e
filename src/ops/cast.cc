// Cast: y = x converted to the type `to`. Floats round to nearest even and truncate on the way to integers;
// integers wrap; `saturate` tells the float8 types what to do on overflow, `round_mode` how f8e8m0 rounds.
#include "ops/common/cast.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

static DType target(const Attrs& attrs, const std::vector<DType>&) {
  const int64_t to = attrs.i("to");
  return to > 0 && to < kNumDTypes ? DType(to) : DType::none;
}

static Status infer(InferArgs& a) {
  const DType to = target(a.attrs, {});
  if (to == DType::none)
    return invalid_model("attribute 'to' is ", a.attrs.i("to"), ", which is no data type");
  TRY(check_cast(a.attrs, to));
  return infer_pointwise(a);
}

extern const Op op_cast{
    .name = "Cast",
    .version = 28,
    .compatible_from = 6,
    .inputs = {{"input", kCastable}},
    .outputs = {{"output"}},
    .attrs = {{"round_mode", std::string("up")}, {"saturate", int64_t(1)}, required_attr("to", AttrKind::i)},
    .scalar = [](const ScalarArgs& a) { return cast_program(a, target(a.attrs, {})); },
    .scalar_type = target,
    .infer = infer,
    .fusion = Fusion::elementwise,
    .samples = {{{{{2, 3, 5}}}, {{"to", int64_t(DType::f16)}}},
                {{{{7}, DType::i32, -9, 9}}, {{"to", int64_t(DType::f32)}}},
                {{{{17}, DType::f32, -9, 9}}, {{"to", int64_t(DType::i8)}}},
                {{{{9}, DType::u8, 0, 255}}, {{"to", int64_t(DType::boolean)}}},
                {{{{0, 4}}}, {{"to", int64_t(DType::i64)}}}},
};

}  // namespace tenon::ops
