// GatherElements: y[i][j][k] = data[indices[i][j][k]][j][k] for axis 0, likewise for the others.
#include "ops/common/movement.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(0)) TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
  if (!a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.ranked(0)) {
    if (a.rank(0) != a.rank(1)) return invalid_model("data has rank ", a.rank(0), ", indices has rank ", a.rank(1));
    const int64_t axis = TRY(a.axis(a.attrs.i("axis"), a.rank(0)));
    for (int64_t i = 0; i < a.rank(0); ++i) {
      const Dim &d = a.shape(0)[size_t(i)], &n = a.shape(1)[size_t(i)];
      if (i != axis && d.is_const() && n.is_const() && n.constant() > d.constant())
        return invalid_model("indices has size ", n.constant(), " in dimension ", i, ", data has ", d.constant());
    }
  }
  a.set(0, a.dtype(0), a.shape(1));
  propagate_values(a, {0});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(0), &indices = a.x(1);
  const int64_t axis = (a.attrs.i("axis") + x.rank()) % x.rank();
  Shape strides = row_major_strides(x.shape());
  const int64_t stride = strides[size_t(axis)];
  strides[size_t(axis)] = 0;
  Walker walk(indices.shape(), {strides});
  for (int64_t e = 0; e < indices.size(); ++e, walk.next()) {
    const int64_t i = TRY(checked_index(indices.int_at(e), x.dim(axis)));
    copy_elements(x.dtype(), a.y(0).data(), e, x.data(), walk.offset(0) + i * stride, 1);
  }
  return {};
}

extern const Op op_gather_elements{
    .name = "GatherElements",
    .version = 13,
    .compatible_from = 11,
    .inputs = {{"data", kAny}, {"indices", kIndex, 0}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{{{3, 3}}, {{2, 3}, DType::i64, 0, 0, {1, 2, 0, -3, 0, -1}}}},
                {{{{2, 5}}, {{2, 2}, DType::i32, -5, 4}}, {{"axis", int64_t(1)}}},
                {{{{2, 5}}, {{0, 5}, DType::i64}}}},
};

}  // namespace tenon::ops
