// CastLike: y = x converted to the type of the second input, as Cast does; the second input's value does not
// matter.
#include "ops/common/cast.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

static Attrs cast_attrs(const Attrs& attrs, DType to) {
  Attrs out = attrs;
  out.set("to", int64_t(to));
  return out;
}

static Status infer(InferArgs& a) {
  const Attrs attrs = cast_attrs(a.attrs, a.dtype(1));
  InferArgs cast{*find_op("", "Cast"), attrs, {a.in[0]}, a.out, a.fresh, {}};
  TRY(infer_op(cast));
  a.out = std::move(cast.out);
  return {};
}

static Status reference(RefArgs& a) {
  const Attrs attrs = cast_attrs(a.attrs, a.x(1).dtype());
  RefArgs cast{*find_op("", "Cast"), attrs, a.in.first(1), a.out, {}};
  return reference_pointwise(cast);
}

extern const Op op_cast_like{
    .name = "CastLike",
    .version = 25,
    .compatible_from = 15,
    .inputs = {{"input", kCastable}, {"target_type", kCastable, 0}},
    .outputs = {{"output"}},
    .attrs = {{"round_mode", std::string("up")}, {"saturate", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 5}}, {{1}, DType::f16}}},
                {{{{7}, DType::i32, -9, 9}, {{2, 2}}}},
                {{{{0, 4}}, {{}, DType::i64, 0, 0}}}},
};

}  // namespace tenon::ops
