// CenterCropPad: the middle of the input where it is larger than the wanted shape, the input framed by zeros
// where it is smaller, for each of `axes`.
#include <algorithm>
#include <numeric>

#include "ops/common/movement.h"

namespace tenon::ops {

static Result<Ints> axes_of(const Attrs& attrs, int64_t rank) {
  Ints axes = attrs.ints("axes");
  if (!attrs.has("axes")) {
    axes.resize(size_t(rank));
    std::iota(axes.begin(), axes.end(), int64_t(0));
  }
  return normalize_axes(axes, rank);
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const Ints axes = TRY(axes_of(a.attrs, a.rank(0)));
  const auto want = known_value(a, 1);
  if (want && want->size() != axes.size())
    return invalid_model("shape has ", want->size(), " elements for ", axes.size(), " axes");
  SymShape shape = a.shape(0);
  for (size_t i = 0; i < axes.size(); ++i) shape[size_t(axes[i])] = want ? (*want)[i] : a.fresh("cropped");
  a.set(0, a.dtype(0), shape);
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  Shape common;  // what both tensors have, starting at offset `from` in x and `to` in y
  const Shape sx = row_major_strides(x.shape()), sy = row_major_strides(y.shape());
  int64_t from = 0, to = 0;
  for (size_t d = 0; d < sx.size(); ++d) {
    const int64_t n = x.shape()[d], want = y.shape()[d];
    common.push_back(std::min(n, want));
    from += std::max<int64_t>(0, n - want) / 2 * sx[d];
    to += std::max<int64_t>(0, want - n) / 2 * sy[d];
  }
  fill_zero(y);
  Tensor middle = TRY(Tensor::allocate(x.dtype(), common));
  copy_view(x, from, sx, middle);
  copy_into_view(middle, y, to, sy);
  return {};
}

extern const Op op_center_crop_pad{
    .name = "CenterCropPad",
    .version = 18,
    .compatible_from = 18,
    .inputs = {{"input_data", kAny}, {"shape", kIndex, 0}},
    .outputs = {{"output_data"}},
    .attrs = {optional_attr("axes", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{5, 4}}, {{2}, DType::i64, 0, 0, {2, 7}}}},
                {{{{2, 5, 3}}, {{1}, DType::i64, 0, 0, {8}}}, {{"axes", Ints{1}}}},
                {{{{0, 3}}, {{2}, DType::i64, 0, 0, {2, 2}}}}},
};

}  // namespace tenon::ops
