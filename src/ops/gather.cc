// Gather: y[a..., i..., b...] = data[a..., indices[i...], b...] along `axis`.
#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  int64_t axis = a.attrs.i("axis");
  if (a.ranked(0)) axis = TRY(a.axis(axis, a.rank(0)));
  if (!a.ranked(0) || !a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  SymShape shape = a.shape(0);
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, a.shape(1).begin(), a.shape(1).end());
  if (shape.size() > kMaxRank) return unsupported("Gather to ", shape.size(), " dimensions");
  a.set(0, a.dtype(0), shape);
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  const AxisSplit s = split_at(x.shape(), (a.attrs.i("axis") + x.rank()) % x.rank());
  Ints indices = a.x(1).to_ints();
  for (int64_t& i : indices) i = TRY(checked_index(i, s.n));
  if (a.y(0).size() == 0) return {};
  int64_t to = 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i : indices) {
      copy_elements(x.dtype(), a.y(0).data(), to, x.data(), (o * s.n + i) * s.inner, s.inner);
      to += s.inner;
    }
  return {};
}

extern const Op op_gather{
    .name = "Gather",
    .version = 13,
    .compatible_from = 1,
    .inputs = {{"data", kAny}, {"indices", kIndex, 0}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{5, 3}}, {{2, 2}, DType::i64, 0, 0, {0, 4, -1, 2}}}},
                {{{{3, 7}}, {{}, DType::i32, 0, 0, {-7}}}, {{"axis", int64_t(1)}}},
                {{{{4, 3}}, {{0}, DType::i64}}, {{"axis", int64_t(-1)}}}},
};

}  // namespace tenon::ops
