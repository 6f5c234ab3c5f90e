#include "ops/common/movement.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "ops/common/pointwise.h"

namespace tenon {

// ---- known values in inference -----------------------------------------------------------------------------------

std::optional<std::vector<Dim>> known_value(const InferArgs& a, size_t i) {
  if (const std::vector<Dim>* v = a.value(i)) return *v;
  if (!a.has_constant(i) || is_float(a.dtype(i)) || (a.in[i].constant.rank() > 1 && a.in[i].constant.size() != 1)) return std::nullopt;
  const Ints ints = a.in[i].constant.to_ints();
  return std::vector<Dim>(ints.begin(), ints.end());
}

std::optional<Dim> known_scalar(const InferArgs& a, size_t i) {
  if (a.has_constant(i) && a.in[i].constant.size() == 1 && !is_float(a.dtype(i)))
    return Dim(a.in[i].constant.int_at(0));
  auto v = known_value(a, i);
  return v && v->size() == 1 ? std::optional((*v)[0]) : std::nullopt;
}

Status check_vector(const InferArgs& a, size_t i) {
  // Exporters that keep scalars as [1] build [1, 1] of them: one number is taken whatever its rank.
  if (a.ranked(i) && a.rank(i) > 1 && !product(a.shape(i)).is(1))
    return invalid_model("input '", a.op.inputs[i].name, "' has rank ", a.rank(i), ", it must be a vector");
  return {};
}

std::optional<size_t> vector_length(const InferArgs& a, size_t i) {
  if (const std::vector<Dim>* v = a.value(i)) return v->size();
  if (!a.ranked(i)) return std::nullopt;
  if (a.rank(i) == 0) return 1;
  const Dim n = product(a.shape(i));
  if (!n.is_const()) return std::nullopt;
  return size_t(n.constant());
}

Result<Ints> normalize_axes(const Ints& axes, int64_t rank) {
  Ints out;
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (int64_t axis : axes) {
    if (axis < -rank || axis >= rank) return invalid_model("axis ", axis, " is out of range for rank ", rank);
    if (axis < 0) axis += rank;
    if (seen[size_t(axis)]) return invalid_model("axis ", axis, " is given twice");
    seen[size_t(axis)] = true;
    out.push_back(axis);
  }
  return out;
}

std::optional<bool> known_negative(const Dim& v) {
  if (auto low = v.lower_bound(); low && *low >= 0) return false;
  if (auto low = (Dim(-1) - v).lower_bound(); low && *low >= 0) return true;
  return std::nullopt;
}

void propagate_values(InferArgs& a, std::initializer_list<size_t> moved) {
  constexpr int64_t kMost = 256;  // shape arithmetic is short; longer vectors are data
  std::vector<Tensor> in(a.in.size()), out;
  for (const ValueInfo& o : a.out) {
    if (!o.ranked || o.shape.size() > 1) return;
    auto shape = to_concrete(o.shape);
    if (!shape || num_elements(*shape) < 0 || num_elements(*shape) > kMost) return;
    out.push_back(Tensor::make(DType::i64, *shape));
  }
  std::vector<Dim> pool;
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (!a.has(i)) continue;
    auto value = known_value(a, i);
    Ints numbers;
    DType type = DType::i64;
    if (std::find(moved.begin(), moved.end(), i) != moved.end()) {
      if (!value || value->size() > size_t(kMost) || !a.ranked(i)) return;
      numbers.resize(value->size());
      std::iota(numbers.begin(), numbers.end(), int64_t(pool.size()));
      pool.insert(pool.end(), value->begin(), value->end());
    } else if (a.has_constant(i)) {
      in[i] = a.in[i].constant;
      continue;
    } else {
      auto ints = value ? to_concrete(*value) : std::nullopt;
      if (!ints || !a.ranked(i)) return;
      numbers = *ints;
      type = a.dtype(i);
    }
    in[i] = Tensor::of_ints(numbers, type);
    if (a.rank(i) == 0) {
      if (numbers.size() != 1) return;
      in[i] = in[i].reshaped({});
    }
  }
  RefArgs args{a.op, a.attrs, in, out, nullptr};
  if (!a.op.reference(args).ok()) return;  // the values are out of range: running the node will say so
  for (size_t i = 0; i < out.size(); ++i) {
    std::vector<Dim> value;
    for (int64_t number : out[i].to_ints()) {
      if (number < 0 || size_t(number) >= pool.size()) return;
      value.push_back(pool[size_t(number)]);
    }
    a.set_value(i, std::move(value));
  }
}

// ---- reference kernels -------------------------------------------------------------------------------------------

// Element k of the run goes from from_index + k * from_step to to_index + k * to_step.
static void copy_run(DType t, void* to, int64_t to_index, int64_t to_step, const void* from, int64_t from_index,
                     int64_t from_step, int64_t n) {
  auto* dst = static_cast<unsigned char*>(to);
  const auto* src = static_cast<const unsigned char*>(from);
  const int width = bits(t);
  if (width >= 8) {
    const int64_t bytes = width / 8;
    if (n <= 0) return;
    if (to_step == 1 && from_step == 1) {
      std::memcpy(dst + to_index * bytes, src + from_index * bytes, size_t(n * bytes));
      return;
    }
    for (int64_t k = 0; k < n; ++k)
      std::memcpy(dst + (to_index + k * to_step) * bytes, src + (from_index + k * from_step) * bytes, size_t(bytes));
    return;
  }
  if (width == 0) return;
  const int64_t per_byte = 8 / width;
  const unsigned mask = (1u << width) - 1;
  for (int64_t k = 0; k < n; ++k) {
    const int64_t i = from_index + k * from_step, o = to_index + k * to_step;
    const unsigned v = (unsigned(src[i / per_byte]) >> (i % per_byte * width)) & mask;
    const int shift = int(o % per_byte) * width;
    unsigned char& cell = dst[o / per_byte];
    cell = static_cast<unsigned char>((cell & ~(mask << shift)) | (v << shift));
  }
}

void copy_elements(DType t, void* to, int64_t to_index, const void* from, int64_t from_index, int64_t n) {
  copy_run(t, to, to_index, 1, from, from_index, 1, n);
}

void copy_all(const Tensor& x, Tensor& y) {
  if (y.bytes()) std::memcpy(y.data(), x.data(), size_t(y.bytes()));
}

// Walks `shape` row by row; visit(dense index, strided offset, row length, step) for each.
template <class F>
static void walk_rows(const Shape& shape, int64_t offset, const Shape& strides, F visit) {
  const int64_t total = num_elements(shape);
  if (total <= 0) return;
  if (shape.empty()) return visit(0, offset, 1, 1);
  const int64_t run = shape.back(), step = strides.back();
  Walker walk(Shape(shape.begin(), shape.end() - 1), {Shape(strides.begin(), strides.end() - 1)});
  for (int64_t at = 0; at < total; at += run, walk.next()) visit(at, offset + walk.offset(0), run, step);
}

void copy_view(const Tensor& x, int64_t offset, const Shape& strides, Tensor& y) {
  walk_rows(y.shape(), offset, strides, [&](int64_t dense, int64_t strided, int64_t n, int64_t step) {
    copy_run(y.dtype(), y.data(), dense, 1, x.data(), strided, step, n);
  });
}

void copy_into_view(const Tensor& x, Tensor& y, int64_t offset, const Shape& strides) {
  walk_rows(x.shape(), offset, strides, [&](int64_t dense, int64_t strided, int64_t n, int64_t step) {
    copy_run(y.dtype(), y.data(), strided, step, x.data(), dense, 1, n);
  });
}

void fill(Tensor& y, const Tensor& value) {
  if (y.size()) copy_run(y.dtype(), y.data(), 0, 1, value.data(), 0, 0, y.size());
}

void fill_zero(Tensor& y) {
  if (y.bytes()) std::memset(y.data(), 0, size_t(y.bytes()));
}

AxisSplit split_at(const Shape& shape, int64_t axis) {
  AxisSplit s;
  for (int64_t i = 0; i < axis; ++i) s.outer *= shape[size_t(i)];
  s.n = shape[size_t(axis)];
  for (size_t i = size_t(axis) + 1; i < shape.size(); ++i) s.inner *= shape[i];
  return s;
}

Result<int64_t> checked_index(int64_t index, int64_t n) {
  if (index < -n || index >= n) return invalid_argument("index ", index, " is out of range [", -n, ", ", n, ")");
  return index < 0 ? index + n : index;
}

}  // namespace tenon
