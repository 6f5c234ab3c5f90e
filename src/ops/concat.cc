// Concat: the inputs one after another along `axis`.
#include <cstring>

#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  for (size_t i = 0; i < a.in.size(); ++i)
    if (!a.ranked(i)) return a.set_unranked(0, a.dtype(0)), Status();
  const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  SymShape shape = a.shape(0);
  for (size_t i = 1; i < a.in.size(); ++i) {
    if (a.rank(i) != a.rank(0))
      return invalid_model("input ", i, " has rank ", a.rank(i), ", input 0 has rank ", a.rank(0));
    for (size_t d = 0; d < shape.size(); ++d) {
      const Dim& other = a.shape(i)[d];
      if (int64_t(d) == axis) {
        shape[d] = shape[d] + other;
      } else if (shape[d].is_const() && other.is_const() && !(shape[d] == other)) {
        return invalid_model("input ", i, " has size ", other.constant(), " in dimension ", d, ", input 0 has ",
                             shape[d].constant());
      } else if (other.is_const()) {
        shape[d] = other;
      }
    }
  }
  a.set(0, a.dtype(0), shape);
  if (shape.size() != 1) return {};
  std::vector<Dim> values;  // shape arithmetic: [batch] ++ [3, 4]
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (!a.value(i)) return {};
    values.insert(values.end(), a.value(i)->begin(), a.value(i)->end());
  }
  a.set_value(0, std::move(values));
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  if (bits(y.dtype()) < 8) return unsupported("Concat of ", name(y.dtype()));
  const int64_t axis = (a.attrs.i("axis") + y.rank()) % y.rank();
  int64_t outer = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= y.dim(i);
  if (outer == 0) return {};
  char* to = y.as<char>();
  for (int64_t o = 0; o < outer; ++o)
    for (const Tensor& x : a.in) {
      const int64_t run = x.bytes() / outer;
      std::memcpy(to, x.as<char>() + o * run, size_t(run));
      to += run;
    }
  return {};
}

extern const Op op_concat{
    .name = "Concat",
    .version = 13,
    .compatible_from = 4,
    .inputs = {{"inputs", kAny, 'T', Param::variadic}},
    .outputs = {{"concat_result"}},
    .attrs = {required_attr("axis", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{2, 3}}, {{2, 5}}}, {{"axis", int64_t(1)}}}, {{{{0, 3}}, {{2, 3}}}, {{"axis", int64_t(0)}}}},
};

}  // namespace tenon::ops
