// Matrix products for the references: rows of b stream through a block of rows of y, so no transposed reads.
#include "ops/common/matmul.h"

#include <algorithm>
#include <type_traits>

#include "ops/common/pointwise.h"

namespace tenon {

Result<Dim> unify_dims(const Dim& a, const Dim& b, const char* what) {
  if (a.is_const() && b.is_const() && !(a == b))
    return invalid_model(what, " is ", a.constant(), " on one side and ", b.constant(), " on the other");
  return a.is_const() ? a : b;
}

Result<SymShape> matmul_shape(const SymShape& a, const SymShape& b) {
  if (a.empty() || b.empty())
    return invalid_model("a matrix product needs operands of rank 1 or more, not scalars");
  const Dim& ka = a.back();
  const Dim& kb = b.size() == 1 ? b[0] : b[b.size() - 2];
  TRY(unify_dims(ka, kb, "the inner dimension"));
  SymShape batch_a(a.begin(), a.end() - std::min<int64_t>(2, int64_t(a.size())));
  SymShape batch_b(b.begin(), b.end() - std::min<int64_t>(2, int64_t(b.size())));
  SymShape y = TRY(broadcast_shapes(batch_a, batch_b));
  if (a.size() > 1) y.push_back(a[a.size() - 2]);
  if (b.size() > 1) y.push_back(b.back());
  return y;
}

SymShape swap_last_two(SymShape shape) {
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return shape;
}

template <class T>
static T multiply_add(T acc, T x, T y) {
  if constexpr (std::is_floating_point_v<T>) {
    return acc + x * y;
  } else {
    using U = std::make_unsigned_t<T>;
    return T(U(acc) + U(x) * U(y));
  }
}

template <class T>
void matmul(const T* a, const T* b, T* y, int64_t m, int64_t k, int64_t n) {
  constexpr int64_t kRows = 8;
  std::fill(y, y + m * n, T(0));
  for (int64_t i0 = 0; i0 < m; i0 += kRows) {
    const int64_t i1 = std::min(m, i0 + kRows);
    for (int64_t p = 0; p < k; ++p) {
      const T* row = b + p * n;
      for (int64_t i = i0; i < i1; ++i) {
        const T x = a[i * k + p];
        T* out = y + i * n;
        for (int64_t j = 0; j < n; ++j) out[j] = multiply_add(out[j], x, row[j]);
      }
    }
  }
}

template <class T>
std::vector<T> batched_matmul(const std::vector<T>& a, const Shape& a_shape, const std::vector<T>& b,
                              const Shape& b_shape) {
  Shape as = a_shape, bs = b_shape;
  if (as.size() == 1) as.insert(as.begin(), 1);
  if (bs.size() == 1) bs.push_back(1);
  const int64_t k = as.back(), n = bs.back();
  int64_t m = as[as.size() - 2];
  Shape batch_a(as.begin(), as.end() - 2), batch_b(bs.begin(), bs.end() - 2);
  if (m == 0 || n == 0 || num_elements(batch_a) == 0 || num_elements(batch_b) == 0) return {};
  if (batch_b.empty()) {  // one matrix b: the batch is more rows of a
    m *= num_elements(batch_a);
    batch_a.clear();
  }
  Shape batch(std::max(batch_a.size(), batch_b.size()), 1);
  for (size_t i = 0; i < batch.size(); ++i) {
    auto dim = [&](const Shape& s) {
      return i + s.size() < batch.size() ? 1 : s[i + s.size() - batch.size()];
    };
    batch[i] = dim(batch_a) == 1 ? dim(batch_b) : dim(batch_a);
  }
  const int64_t count = num_elements(batch);
  std::vector<T> y(size_t(count * m * n));
  Walker walk(batch, {broadcast_strides(batch_a, batch), broadcast_strides(batch_b, batch)});
  for (int64_t e = 0; e < count; ++e, walk.next())
    matmul(a.data() + walk.offset(0) * m * k, b.data() + walk.offset(1) * k * n, y.data() + e * m * n, m, k,
           n);
  return y;
}

template <class T>
std::vector<T> transpose_last_two(const std::vector<T>& x, const Shape& shape) {
  const int64_t rows = shape[shape.size() - 2], cols = shape.back();
  std::vector<T> y(x.size());
  if (x.empty()) return y;
  const int64_t count = int64_t(x.size()) / (rows * cols);
  for (int64_t e = 0; e < count; ++e)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j)
        y[size_t((e * cols + j) * rows + i)] = x[size_t((e * rows + i) * cols + j)];
  return y;
}

template void matmul(const double*, const double*, double*, int64_t, int64_t, int64_t);
template void matmul(const int64_t*, const int64_t*, int64_t*, int64_t, int64_t, int64_t);
template std::vector<double> batched_matmul(const std::vector<double>&, const Shape&,
                                            const std::vector<double>&, const Shape&);
template std::vector<int64_t> batched_matmul(const std::vector<int64_t>&, const Shape&,
                                             const std::vector<int64_t>&, const Shape&);
template std::vector<double> transpose_last_two(const std::vector<double>&, const Shape&);
template std::vector<int64_t> transpose_last_two(const std::vector<int64_t>&, const Shape&);

// ---- scales and zero points of matrices
// ---------------------------------------------------------------------------

int64_t matrix_param_index(const Shape& shape, int64_t i, int64_t count, bool per_row) {
  if (count == 1 || shape.empty()) return 0;
  const int64_t cols = shape.back();
  if (!per_row) {
    const int64_t rows = shape.size() > 1 ? shape[shape.size() - 2] : 1;
    return count == cols ? i % cols : i / (rows * cols) * cols + i % cols;
  }
  const int64_t rows = shape.size() > 1 ? shape[shape.size() - 2] : 1;
  return count == rows ? i / cols % rows : i / cols;
}

Status check_matrix_param(InferArgs& a, size_t x, size_t p, bool per_row) {
  if (!a.ranked(x) || !a.ranked(p)) return {};
  auto x_shape = to_concrete(a.shape(x)), p_shape = to_concrete(a.shape(p));
  if (!x_shape || !p_shape) return {};
  const int64_t count = num_elements(*p_shape);
  if (count == 1) return {};
  if (!x_shape->empty()) {
    // One for each row (column) of the one matrix, or of every matrix.
    Shape all = *x_shape;
    if (all.size() > 1)
      all.erase(all.end() - (per_row ? 1 : 2));
    else if (per_row)
      all = {1};
    if (count == all.back() || count == num_elements(all)) return {};
  }
  return invalid_model("input '", a.op.inputs[p].name, "' of shape ", to_string(a.shape(p)),
                       " is neither one value nor one for each ", per_row ? "row" : "column", " of ",
                       to_string(a.shape(x)));
}

Result<std::vector<int64_t>> centered_ints(const Tensor& x, const Tensor& zero_point, bool per_row) {
  std::vector<int64_t> v = x.to_ints();
  if (!zero_point || v.empty()) return v;
  const std::vector<int64_t> zero = zero_point.to_ints();
  for (size_t i = 0; i < v.size(); ++i)
    v[i] -= zero[size_t(matrix_param_index(x.shape(), int64_t(i), int64_t(zero.size()), per_row))];
  return v;
}

}  // namespace tenon
