// Reshape: the same elements under another shape; 0 copies the input's dimension, one -1 takes what is left.
#include <algorithm>

#include "ops/common/movement.h"

namespace tenon::ops {

// What -1 stands for: the input's elements over those of the other dimensions. Equal dimensions are cancelled first,
// which keeps the quotient simple and defined for sizes of 0.
static Result<Dim> remaining(SymShape have, SymShape taken) {
  for (size_t i = 0; i < taken.size();) {
    auto it = std::find(have.begin(), have.end(), taken[i]);
    if (it == have.end()) {
      ++i;
      continue;
    }
    have.erase(it);
    taken.erase(taken.begin() + int64_t(i));
  }
  const Dim elements = product(have), others = product(taken);
  if (others.is(0)) return invalid_model("-1 cannot be found: the other dimensions hold no elements");
  if (elements.is_const() && others.is_const() && elements.constant() % others.constant() != 0)
    return invalid_model(elements.constant(), " elements do not divide into parts of ", others.constant());
  return floor_div(elements, others);
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  const auto want = known_value(a, 1);
  if (!want) {
    if (auto n = vector_length(a, 1); n && *n <= kMaxRank) a.set_fresh(0, a.dtype(0), *n, "reshaped");
    else a.set_unranked(0, a.dtype(0));
    return {};
  }
  if (want->size() > kMaxRank) return unsupported("Reshape to ", want->size(), " dimensions");
  const bool allow_zero = a.attrs.i("allowzero") != 0;
  SymShape shape, taken;
  std::optional<size_t> rest;
  for (size_t i = 0; i < want->size(); ++i) {
    Dim d = (*want)[i];
    if (d.is(-1)) {
      if (rest) return invalid_model("shape has more than one -1: ", to_string(*want));
      rest = i;
      shape.emplace_back(1);
      continue;
    }
    if (known_negative(d).value_or(false)) return invalid_model("shape ", to_string(*want), " is negative");
    if (d.is(0) && !allow_zero) {
      if (a.ranked(0) && int64_t(i) >= a.rank(0))
        return invalid_model("0 in dimension ", i, " copies from an input of rank ", a.rank(0));
      d = a.ranked(0) ? a.shape(0)[i] : a.fresh("reshaped");
    }
    shape.push_back(d);
    taken.push_back(d);
  }
  if (rest) {
    if (allow_zero && std::any_of(taken.begin(), taken.end(), [](const Dim& d) { return d.is(0); }))
      return invalid_model("-1 together with 0 is not allowed when allowzero is set");
    shape[*rest] = a.ranked(0) ? TRY(remaining(a.shape(0), taken)) : a.fresh("reshaped");
  } else if (a.ranked(0)) {
    const Dim from = product(a.shape(0)), to = product(shape);
    if (from.is_const() && to.is_const() && !(from == to))
      return invalid_model("cannot make ", to_string(shape), " of ", to_string(a.shape(0)), ": ", from.constant(),
                           " elements");
  }
  a.set(0, a.dtype(0), shape);
  if (auto v = known_value(a, 0)) {
    if (shape.empty() && v->size() == 1) a.set_value(0, *v);
    if (shape.size() == 1 && shape[0].is(int64_t(v->size()))) a.set_value(0, *v);
  }
  return {};
}

extern const Op op_reshape{
    .name = "Reshape",
    .version = 25,
    .compatible_from = 5,
    .inputs = {{"data", kAny}, {"shape", DType::i64, 0}},
    .outputs = {{"reshaped"}},
    .attrs = {{"allowzero", int64_t(0)}},
    .infer = infer,
    .reference = [](RefArgs& a) { return copy_all(a.x(0), a.y(0)), Status(); },
    .view = true,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3, 4}}, {{2}, DType::i64, 0, 0, {6, -1}}}},
                {{{{2, 3, 5}}, {{3}, DType::i64, 0, 0, {0, 5, 3}}}},
                {{{{0, 7}}, {{2}, DType::i64, 0, 0, {7, 0}}}, {{"allowzero", int64_t(1)}}}},
};

}  // namespace tenon::ops
