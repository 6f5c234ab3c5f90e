// Pad: grows (or, with negative pads, crops) dimensions by pads = [begins..., ends...]; new elements are a
// constant, or the input's mirrored (reflect), nearest (edge) or opposite (wrap) ones.
#include <numeric>

#include "ops/common/movement.h"

namespace tenon::ops {

// Before opset 11, pads and value were attributes.
static Status upgrade_pad_2(Upgrade& u) {
  u.ints_to_input("pads", 1);
  const float value = u.node.attrs.f("value");
  u.node.attrs.erase("value");
  if (value == 0) return {};
  const DType type = u.info(u.node.inputs[0]).dtype;
  u.node.inputs.resize(3);
  u.node.inputs[2] = u.constant(Tensor::scalar_float(double(value), is_float(type) ? type : DType::f32));
  return {};
}

constexpr int64_t kMost = int64_t(1) << 56;  // no dimension is longer

static Status infer(InferArgs& a) {
  const std::string& mode = a.attrs.s("mode");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return invalid_model("mode '", mode, "' is none of constant, reflect, edge, wrap");
  TRY(check_vector(a, 1));
  TRY(check_vector(a, 3));
  if (a.has_constant(2) && a.in[2].constant.size() != 1)
    return invalid_model("constant_value is not a scalar");
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  auto axes = a.const_ints(3);
  if (!a.has(3)) {
    axes = Ints(a.shape(0).size());
    std::iota(axes->begin(), axes->end(), int64_t(0));
  }
  if (!axes) return a.set_fresh(0, a.dtype(0), a.shape(0).size(), "padded"), Status();
  const Ints order = TRY(normalize_axes(*axes, a.rank(0)));
  const auto pads = known_value(a, 1);
  if (pads && pads->size() != 2 * order.size())
    return invalid_model("pads has ", pads->size(), " elements for ", order.size(), " axes");
  SymShape shape = a.shape(0);
  for (size_t i = 0; i < order.size(); ++i) {
    Dim& d = shape[size_t(order[i])];
    if (!pads) {
      d = a.fresh("padded");
      continue;
    }
    const Dim &begin = (*pads)[i], &end = (*pads)[order.size() + i], padded = d + begin + end;
    for (const Dim& pad : {begin, end})
      if (pad.is_const() && (pad.constant() < -kMost || pad.constant() > kMost))
        return invalid_model("a pad of ", pad.constant());
    if (mode != "constant" && d.is_const() && begin.is_const() && end.is_const() && !padded.is(0)) {
      const Dim kept = d + min(begin, Dim(0)) + min(end, Dim(0));  // pads below 0 crop first
      if (kept.constant() <= 0)
        return invalid_model("mode ", mode, " has no elements to pad dimension ", order[i]);
    }
    d = padded;
  }
  a.set(0, a.dtype(0), shape);
  return {};
}

// The element in [0, n) that stands at index i of the endless extension of n elements. REQUIRES: n > 0.
static int64_t extended(int64_t i, int64_t n, char mode) {
  if (mode == 'e') return i < 0 ? 0 : std::min(i, n - 1);
  const int64_t period = mode == 'w' ? n : n > 1 ? 2 * n - 2 : 1;
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const char mode = a.attrs.s("mode")[0];
  const size_t rank = x.shape().size();
  const Ints pads = a.x(1).to_ints();
  // from[d][i]: the input's index along d for the output's index i, or -1 for the constant.
  std::vector<Ints> from(rank);
  Shape begin(rank, 0), end(rank, 0);
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    int64_t axis = a.has(3) ? a.x(3).int_at(int64_t(i)) : int64_t(i);
    if (axis < 0) axis += int64_t(rank);
    begin[size_t(axis)] = pads[i];
    end[size_t(axis)] = pads[pads.size() / 2 + i];
  }
  if (a.has(2))
    fill(y, a.x(2));
  else
    fill_zero(y);
  if (y.size() == 0) return {};
  for (size_t d = 0; d < rank; ++d) {
    const int64_t first = std::max<int64_t>(0, -begin[d]),
                  size = x.shape()[d] - first - std::max<int64_t>(0, -end[d]);
    for (int64_t i = 0; i < y.shape()[d]; ++i) {
      const int64_t k = i - std::max<int64_t>(0, begin[d]);  // within the part that is kept
      const bool inside = mode != 'c' || (k >= 0 && k < size);
      from[d].push_back(!inside ? -1 : first + (mode == 'c' ? k : extended(k, size, mode)));
    }
  }
  const Shape strides = row_major_strides(x.shape());
  Shape index(rank, 0);
  for (int64_t o = 0; o < y.size(); ++o) {
    int64_t at = 0;
    for (size_t d = 0; d < rank && at >= 0; ++d) {
      const int64_t k = from[d][size_t(index[d])];
      at = k < 0 ? -1 : at + k * strides[d];
    }
    if (at >= 0) copy_elements(y.dtype(), y.data(), o, x.data(), at, 1);
    for (size_t d = rank; d-- > 0 && ++index[d] == y.shape()[d];) index[d] = 0;
  }
  return {};
}

extern const Op op_pad{
    .name = "Pad",
    .version = 25,
    .compatible_from = 11,
    .older = {{1, upgrade_pad_2}},
    .inputs = {{"data", kAny},
               {"pads", DType::i64, 0},
               {"constant_value", kAny, 'T', Param::optional},
               {"axes", kIndex, 0, Param::optional}},
    .outputs = {{"output"}},
    .attrs = {{"mode", std::string("constant")}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3}}, {{4}, DType::i64, 0, 0, {0, 1, 2, -1}}, {{}, DType::f32, 0, 0, {1.5}}}},
                {{{{3, 5}}, {{4}, DType::i64, 0, 0, {1, 2, 0, 3}}}, {{"mode", std::string("reflect")}}},
                {{{{3, 5}}, {{4}, DType::i64, 0, 0, {1, 2, 0, 3}}}, {{"mode", std::string("edge")}}},
                {{{{3, 5}}, {{4}, DType::i64, 0, 0, {1, 2, 0, 3}}}, {{"mode", std::string("wrap")}}},
                {{{{0, 2}}, {{4}, DType::i64, 0, 0, {1, 0, 1, 0}}}}},
};

}  // namespace tenon::ops
