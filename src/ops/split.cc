// Split: the input cut along `axis` into parts of the sizes given by `split`, or into num_outputs equal ones (the last
// may be smaller).
#include "ops/common/movement.h"

namespace tenon::ops {

static Status upgrade_split_2(Upgrade& u) {
  u.ints_to_input("split", 1);
  return {};
}

static Status infer(InferArgs& a) {
  const int64_t parts = int64_t(a.out.size());
  const int64_t asked = a.attrs.i("num_outputs", parts);
  if (asked != parts) return invalid_model("num_outputs is ", asked, ", the node has ", parts, " outputs");
  if (parts == 0) return {};
  TRY(check_vector(a, 1));
  const auto sizes = known_value(a, 1);
  if (sizes && int64_t(sizes->size()) != parts)
    return invalid_model("split has ", sizes->size(), " sizes, the node has ", parts, " outputs");
  if (!a.ranked(0)) {
    for (size_t i = 0; i < a.out.size(); ++i) a.set_unranked(i, a.dtype(0));
    return {};
  }
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  SymShape shape = a.shape(0);
  const Dim whole = shape[size_t(axis)], part = ceil_div(whole, parts);
  if (sizes) {
    for (const Dim& d : *sizes)
      if (known_negative(d).value_or(false)) return invalid_model("split ", to_string(*sizes), " is negative");
    Dim sum(0);
    for (const Dim& d : *sizes) sum = sum + d;
    if (sum.is_const() && whole.is_const() && !(sum == whole))
      return invalid_model("split ", to_string(*sizes), " does not add up to ", whole.constant());
  }
  for (int64_t i = 0; i < parts; ++i) {
    Dim& d = shape[size_t(axis)];
    if (sizes) d = (*sizes)[size_t(i)];
    else if (a.has(1)) d = a.fresh("split");
    else if (whole.is_const()) d = std::clamp<int64_t>(whole.constant() - i * part.constant(), 0, part.constant());
    else d = i + 1 < parts ? part : whole - part * Dim(parts - 1);
    a.set(size_t(i), a.dtype(0), shape);
  }
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  const Shape strides = row_major_strides(x.shape());
  int64_t begin = 0;
  for (Tensor& y : a.out) {
    copy_view(x, begin * strides[size_t(axis)], strides, y);
    begin += y.dim(axis);
  }
  return {};
}

extern const Op op_split{
    .name = "Split",
    .version = 18,
    .compatible_from = 13,
    .older = {{1, upgrade_split_2}},
    .inputs = {{"input", kAny}, {"split", DType::i64, 0, Param::optional}},
    .outputs = {{"outputs", kAny, 'T', Param::variadic}},
    .attrs = {{"axis", int64_t(0)}, optional_attr("num_outputs", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 6}}}, {{"axis", int64_t(1)}, {"num_outputs", int64_t(3)}}, 3},
                {{{{7, 3}}, {{2}, DType::i64, 0, 0, {2, 5}}}, {}, 2},
                {{{{3, 5}}, {{2}, DType::i64, 0, 0, {0, 5}}}, {{"axis", int64_t(-1)}}, 2}},
};

}  // namespace tenon::ops
