// com.microsoft FusedMatMul: y = alpha * a' * b', where ' swaps the last two dimensions if transA (transB)
// says so and moves the first batch dimension next to the matrix if transBatchA (transBatchB) does.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

// The order in which the dimensions of operand `i` are read. A vector has nothing to swap.
static Result<std::vector<size_t>> order_of(const Attrs& attrs, size_t operand, size_t rank) {
  std::vector<size_t> order(rank);
  for (size_t d = 0; d < rank; ++d) order[d] = d;
  const bool batch = attrs.i(operand ? "transBatchB" : "transBatchA") != 0;
  if (batch) {
    if (rank < 3)
      return invalid_model("a batch transposition needs rank 3 or more, operand ", operand, " has rank ",
                           rank);
    for (size_t d = 0; d + 2 < rank; ++d) order[d] = d + 1;
    order[rank - 2] = 0;
  }
  if (rank >= 2 && attrs.i(operand ? "transB" : "transA") != 0) std::swap(order[rank - 2], order[rank - 1]);
  return order;
}

template <class T>
static std::vector<T> permuted(const std::vector<T>& v, const std::vector<size_t>& order) {
  std::vector<T> out;
  for (size_t d : order) out.push_back(v[d]);
  return out;
}

static Status infer(InferArgs& a) {
  if (!a.ranked(0) || !a.ranked(1)) return a.set_unranked(0, a.dtype(0)), Status();
  SymShape shapes[2];
  for (size_t i : {0, 1}) shapes[i] = permuted(a.shape(i), TRY(order_of(a.attrs, i, a.shape(i).size())));
  a.set(0, a.dtype(0), TRY(matmul_shape(shapes[0], shapes[1])));
  return {};
}

static Status reference(RefArgs& a) {
  std::vector<double> values[2];
  Shape shapes[2];
  for (size_t i : {0, 1}) {
    const Tensor& x = a.x(i);
    const std::vector<size_t> order = TRY(order_of(a.attrs, i, x.shape().size()));
    shapes[i] = permuted(x.shape(), order);
    const std::vector<double> in = x.to_doubles();
    values[i].resize(in.size());
    Walker walk(shapes[i], {permuted(row_major_strides(x.shape()), order)});
    for (double& v : values[i]) {
      v = in[size_t(walk.offset(0))];
      walk.next();
    }
  }
  std::vector<double> y = batched_matmul(values[0], shapes[0], values[1], shapes[1]);
  for (double& v : y) v *= double(a.attrs.f("alpha"));
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, a.y(0).size(), y.data());
  return {};
}

extern const Op op_ms_fused_mat_mul{
    .name = "FusedMatMul",
    .domain = "com.microsoft",
    .inputs = {{"A", kFloats}, {"B", kFloats}},
    .attrs = {{"alpha", 1.0f},
              {"transA", int64_t(0)},
              {"transB", int64_t(0)},
              {"transBatchA", int64_t(0)},
              {"transBatchB", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) {
      const bool batch = a.attrs.i("transBatchA") != 0, rows = a.attrs.i("transA") != 0;
      return matmul_flops(a, a.dim(0, !rows ? -1 : batch ? 0 : -2));
    },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 5, 3}}, {{2, 5, 7}}}, {{"transA", int64_t(1)}, {"alpha", 0.5f}}},
                {{{{4, 2, 3}}, {{2, 3, 5}}}, {{"transBatchA", int64_t(1)}}},
                {{{{3, 4}}, {{6, 4}}}, {{"transB", int64_t(1)}}}},
};

}  // namespace tenon::ops
