// Squeeze: removes the given dimensions of size 1, or all of them.
#include <algorithm>

#include "ops/common/movement.h"

namespace tenon::ops {

static Status upgrade_squeeze_1(Upgrade& u) {
  u.ints_to_input("axes", 1);
  return {};
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  const auto axes = a.const_ints(1);
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const SymShape& from = a.shape(0);
  SymShape shape;
  if (!a.has(1)) {
    for (const Dim& d : from) {
      if (!d.is_const()) return a.set_unranked(0, a.dtype(0)), Status();  // it might be 1
      if (!d.is(1)) shape.push_back(d);
    }
  } else if (!axes) {
    const auto n = vector_length(a, 1);
    if (n && int64_t(*n) <= a.rank(0)) a.set_fresh(0, a.dtype(0), from.size() - *n, "squeezed");
    else a.set_unranked(0, a.dtype(0));
    return {};
  } else {
    const Ints drop = TRY(normalize_axes(*axes, a.rank(0)));
    for (size_t i = 0; i < from.size(); ++i) {
      if (std::find(drop.begin(), drop.end(), int64_t(i)) == drop.end()) shape.push_back(from[i]);
      else if (from[i].is_const() && !from[i].is(1))
        return invalid_model("dimension ", i, " has size ", from[i].constant(), ", only 1 can be squeezed");
    }
  }
  a.set(0, a.dtype(0), shape);
  if (auto v = known_value(a, 0)) a.set_value(0, *v);
  return {};
}

extern const Op op_squeeze{
    .name = "Squeeze",
    .version = 25,
    .compatible_from = 13,
    .older = {{1, upgrade_squeeze_1}},
    .inputs = {{"data", kAny}, {"axes", DType::i64, 0, Param::optional}},
    .outputs = {{"squeezed"}},
    .infer = infer,
    .reference = [](RefArgs& a) { return copy_all(a.x(0), a.y(0)), Status(); },
    .view = true,
    .fusion = Fusion::injective,
    .samples = {{{{{1, 3, 1, 5}}}}, {{{{1, 0, 1}}, {{1}, DType::i64, 0, 0, {-1}}}}},
};

}  // namespace tenon::ops
