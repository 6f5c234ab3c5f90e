// Shape: the dimensions start ... end - 1 of the input, as a vector; bounds are clamped as in Python.
#include <algorithm>

#include "ops/common/movement.h"

namespace tenon::ops {

static std::pair<size_t, size_t> bounds(const Attrs& attrs, int64_t rank) {
  auto clamp = [rank](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t begin = clamp(attrs.i("start")), end = clamp(attrs.i("end", rank));
  return {size_t(begin), size_t(std::max(begin, end))};
}

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_fresh(0, DType::i64, 1, "rank"), Status();
  const auto [begin, end] = bounds(a.attrs, a.rank(0));
  a.set(0, DType::i64, {Dim(int64_t(end - begin))});
  a.set_value(0, {a.shape(0).begin() + int64_t(begin), a.shape(0).begin() + int64_t(end)});
  return {};
}

static Status reference(RefArgs& a) {
  const Shape& shape = a.x(0).shape();
  const auto [begin, end] = bounds(a.attrs, a.x(0).rank());
  for (size_t i = begin; i < end; ++i) a.y(0).set_int(int64_t(i - begin), shape[i]);
  return {};
}

extern const Op op_shape{
    .name = "Shape",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"data", kAny}},
    .outputs = {{"shape"}},
    .attrs = {{"start", int64_t(0)}, optional_attr("end", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{2, 3, 5}}}}, {{{{2, 0, 5}}}, {{"start", int64_t(-2)}, {"end", int64_t(2)}}}, {{{{}}}}},
};

}  // namespace tenon::ops
