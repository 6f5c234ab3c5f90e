// Slice: elements start, start + step, ... before end along each of `axes`, with numpy's rules for negative and too
// large bounds.
#include <algorithm>
#include <limits>
#include <numeric>

#include "ops/common/movement.h"

namespace tenon::ops {

static Status upgrade_slice_1(Upgrade& u) {
  u.ints_to_input("starts", 1);
  u.ints_to_input("ends", 2);
  u.ints_to_input("axes", 3);
  return {};
}

// Bounds this far out mean "to the end", for a dimension whose size is not known.
constexpr int64_t kFar = std::numeric_limits<int32_t>::max();
constexpr int64_t kLongestStep = int64_t(1) << 60;

// How many elements start:end:step takes from a dimension of size d; nothing where the sign of a bound is not known.
// One clamp a bound is enough: a start past the end, or an end before the start, gives no elements anyway.
static std::optional<Dim> slice_length(const Dim& d, Dim start, Dim end, int64_t step) {
  if (!d.is_const()) {
    if (start.is_const() && start.constant() <= -kFar) start = step > 0 ? Dim(0) : Dim(-1) - d;
    if (start.is_const() && start.constant() >= kFar) start = step > 0 ? d : d - Dim(1);
    if (end.is_const() && end.constant() >= kFar) end = d;
    if (end.is_const() && end.constant() <= -kFar) {
      if (step > 0) return Dim(0);
      end = Dim(-1) - d;
    }
  }
  const auto start_negative = known_negative(start), end_negative = known_negative(end);
  if (start == d - Dim(1) && step < 0) {
    // the last element, whatever the sign of d - 1
  } else if (!start_negative) {
    return std::nullopt;
  }
  if (!end_negative) return std::nullopt;
  Dim span;
  if (step > 0) {
    const Dim stop = *end_negative ? d + end : min(end, d);
    span = *start_negative ? min(stop - d - start, stop) : stop - start;
  } else {
    const Dim first = start == d - Dim(1) ? start
                      : *start_negative   ? max(d + start, Dim(-1))
                                          : min(start, d - Dim(1));
    span = first - (*end_negative ? max(d + end, Dim(-1)) : end);
  }
  return max(Dim(0), ceil_div(span, std::abs(step)));
}

static Status infer(InferArgs& a) {
  for (size_t i = 1; i < 5; ++i) TRY(check_vector(a, i));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const auto starts = known_value(a, 1), ends = known_value(a, 2);
  const auto n = starts ? starts->size() : ends ? ends->size() : vector_length(a, 1);
  auto axes = a.const_ints(3), steps = a.const_ints(4);
  if (!a.has(3) && n) {
    axes = Ints(*n);
    std::iota(axes->begin(), axes->end(), int64_t(0));
  }
  if (!axes) return a.set_fresh(0, a.dtype(0), a.shape(0).size(), "sliced"), Status();
  const Ints order = TRY(normalize_axes(*axes, a.rank(0)));
  if (!a.has(4)) steps = Ints(order.size(), 1);
  for (size_t count : {starts ? starts->size() : order.size(), ends ? ends->size() : order.size(),
                       steps ? steps->size() : order.size()})
    if (count != order.size()) return invalid_model("starts, ends, axes and steps differ in length");
  SymShape shape = a.shape(0);
  for (size_t i = 0; i < order.size(); ++i) {
    Dim& d = shape[size_t(order[i])];
    if (steps && (*steps)[i] == 0) return invalid_model("a step is 0");
    std::optional<Dim> length;
    if (starts && ends && steps)
      length = slice_length(d, (*starts)[i], (*ends)[i], std::clamp((*steps)[i], -kLongestStep, kLongestStep));
    d = length ? *length : a.fresh("sliced");
  }
  a.set(0, a.dtype(0), shape);
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const Ints starts = a.x(1).to_ints();
  Shape strides = row_major_strides(x.shape());
  int64_t offset = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t k = int64_t(i);
    int64_t axis = a.has(3) ? a.x(3).int_at(k) : k;
    if (axis < 0) axis += x.rank();
    const int64_t step = a.has(4) ? a.x(4).int_at(k) : 1, d = x.dim(axis);
    if (y.dim(axis) == 0) return {};
    int64_t start = starts[i] < 0 ? starts[i] + d : starts[i];
    start = std::clamp<int64_t>(start, 0, d - 1);
    int64_t& stride = strides[size_t(axis)];
    offset += start * stride;
    stride = y.dim(axis) > 1 ? stride * step : 0;
  }
  copy_view(x, offset, strides, y);
  return {};
}

extern const Op op_slice{
    .name = "Slice",
    .version = 13,
    .compatible_from = 10,
    .older = {{1, upgrade_slice_1}},
    .inputs = {{"data", kAny},
               {"starts", kIndex, 'I'},
               {"ends", kIndex, 'I'},
               {"axes", kIndex, 'I', Param::optional},
               {"steps", kIndex, 'I', Param::optional}},
    .outputs = {{"output"}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{5, 7}}, {{2}, DType::i64, 0, 0, {1, 0}}, {{2}, DType::i64, 0, 0, {4, -2}}}},
                {{{{9}},
                  {{1}, DType::i64, 0, 0, {-1}},
                  {{1}, DType::i64, 0, 0, {-100}},
                  {{1}, DType::i64, 0, 0, {0}},
                  {{1}, DType::i64, 0, 0, {-2}}}},
                {{{{3, 4}},
                  {{1}, DType::i64, 0, 0, {3}},
                  {{1}, DType::i64, 0, 0, {2}},
                  {{1}, DType::i64, 0, 0, {-1}}}}},
};

}  // namespace tenon::ops
