// Crop, an experimental operator of opset 1: cuts border = [left, top, right, bottom] off the last two of
// four dimensions, or keeps scale = [height, width] from the left top on.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const Ints &border = a.attrs.ints("border"), &scale = a.attrs.ints("scale");
  if (border.size() != 4) return invalid_model("border has ", border.size(), " elements, not 4");
  if (!scale.empty() && scale.size() != 2)
    return invalid_model("scale has ", scale.size(), " elements, not 2");
  if (!a.ranked(0)) return a.set_fresh(0, a.dtype(0), 4, "cropped"), Status();
  if (a.rank(0) != 4) return invalid_model("input has rank ", a.rank(0), ", it must be [N, C, H, W]");
  SymShape shape = a.shape(0);
  for (size_t i = 0; i < 2; ++i) {
    const int64_t begin = border[1 - i], end = border[3 - i];
    if (begin < 0 || end < 0) return invalid_model("border ", border, " is negative");
    Dim& d = shape[2 + i];
    const Dim left = d - Dim(begin);
    if (!scale.empty() && (scale[i] < 0 || (left.is_const() && scale[i] > left.constant())))
      return invalid_model("scale ", scale, " with border ", border, " does not fit ", to_string(a.shape(0)));
    d = scale.empty() ? left - Dim(end) : Dim(scale[i]);
  }
  a.set(0, a.dtype(0), shape);
  return {};
}

static Status reference(RefArgs& a) {
  const Ints& border = a.attrs.ints("border");
  const Shape strides = row_major_strides(a.x(0).shape());
  if (a.y(0).size() == 0) return {};
  copy_view(a.x(0), border[1] * strides[2] + border[0] * strides[3], strides, a.y(0));
  return {};
}

extern const Op op_crop{
    .name = "Crop",
    .version = 1,
    .compatible_from = 1,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .attrs = {required_attr("border", AttrKind::ints), optional_attr("scale", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{1, 2, 5, 7}}}, {{"border", Ints{1, 2, 0, 1}}}},
                {{{{1, 2, 5, 7}}}, {{"border", Ints{3, 1, 0, 0}}, {"scale", Ints{2, 4}}}}},
};

}  // namespace tenon::ops
