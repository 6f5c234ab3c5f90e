// Compress: the slices along `axis` (or elements of the flattened input) where the condition is true.
#include "ops/common/movement.h"

namespace tenon::ops {

static Ints selected(const Tensor& condition) {
  Ints at;
  for (int64_t i = 0; i < condition.size(); ++i)
    if (condition.int_at(i) != 0) at.push_back(i);
  return at;
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  const Dim n = a.has_constant(1) ? Dim(int64_t(selected(a.in[1].constant).size())) : a.fresh("compressed");
  if (!a.attrs.has("axis")) return a.set(0, a.dtype(0), {n}), Status();
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  SymShape shape = a.shape(0);
  shape[size_t(TRY(a.axis(a.attrs.i("axis"), a.rank(0))))] = n;
  a.set(0, a.dtype(0), shape);
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Shape shape = a.attrs.has("axis") ? x.shape() : Shape{x.size()};
  const int64_t rank = int64_t(shape.size()), axis = (a.attrs.i("axis") + rank) % rank;
  const AxisSplit s = split_at(shape, axis);
  const Ints at = selected(a.x(1));
  if (!at.empty()) TRY(checked_index(at.back(), s.n));
  shape[size_t(axis)] = int64_t(at.size());
  Tensor& y = *TRY(a.allocate(0, x.dtype(), shape));
  if (y.size() == 0) return {};
  int64_t to = 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i : at) {
      copy_elements(x.dtype(), y.data(), to, x.data(), (o * s.n + i) * s.inner, s.inner);
      to += s.inner;
    }
  return {};
}

extern const Op op_compress{
    .name = "Compress",
    .version = 28,
    .compatible_from = 9,
    .inputs = {{"input", kAny}, {"condition", DType::boolean, 0}},
    .outputs = {{"output"}},
    .attrs = {optional_attr("axis", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{3, 2}}, {{3}, DType::boolean, 0, 0, {0, 1, 1}}}, {{"axis", int64_t(0)}}},
                {{{{3, 2}}, {{5}, DType::boolean, 0, 0, {0, 1, 0, 0, 1}}}},
                {{{{3, 2}}, {{2}, DType::boolean, 0, 0, {0, 0}}}, {{"axis", int64_t(-1)}}}},
};

}  // namespace tenon::ops
