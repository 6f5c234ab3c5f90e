// BitCast: the same bits under another data type of the same width, `to`.
#include <cstring>

#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t number = a.attrs.i("to");
  const DType from = a.dtype(0), to = number > 0 && number < kNumDTypes ? DType(number) : DType::none;
  if (bits(to) == 0)
    return invalid_model("attribute 'to' is ", number, ", which is no data type of a fixed width");
  if (bits(from) != bits(to))
    return invalid_model("cannot reinterpret ", name(from), " as ", name(to), ": ", bits(from), " and ",
                         bits(to), " bits");
  if (!a.ranked(0)) return a.set_unranked(0, to), Status();
  a.set(0, to, a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  if (a.x(0).bytes()) std::memcpy(a.y(0).data(), a.x(0).data(), size_t(a.x(0).bytes()));
  return {};
}

extern const Op op_bit_cast{
    .name = "BitCast",
    .version = 26,
    .compatible_from = 26,
    .inputs = {{"input", kAny | DTypeSet{DType::c64, DType::c128}}},
    .outputs = {{"output"}},
    .attrs = {required_attr("to", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 5}}}, {{"to", int64_t(DType::i32)}}},
                {{{{7}, DType::u8, 0, 255}}, {{"to", int64_t(DType::i8)}}},
                {{{{0, 4}}}, {{"to", int64_t(DType::u32)}}}},
};

}  // namespace tenon::ops
