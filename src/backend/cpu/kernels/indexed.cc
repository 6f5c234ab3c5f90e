#include "backend/cpu/kernels/indexed.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {
namespace {

template <class I>
bool in_range(I index, int64_t n) {
  return int64_t(index) >= -n && int64_t(index) < n;
}
template <class I>
int64_t from_start(I index, int64_t n) {
  return int64_t(index) < 0 ? int64_t(index) + n : int64_t(index);
}

template <class I>
Status out_of_range(I index, int64_t n) {
  return invalid_argument("index ", int64_t(index), " is out of range [", -n, ", ", n, ")");
}

// The first index in order that is out of range, as an error.
Status check_tuples(const TupleDesc& d, const int64_t* indices) {
  const int64_t k = int64_t(d.sizes.size());
  for (int64_t t = 0; t < d.tuples; ++t)
    for (int64_t i = 0; i < k; ++i)
      if (!in_range(indices[t * k + i], d.sizes[size_t(i)]))
        return out_of_range(indices[t * k + i], d.sizes[size_t(i)]);
  return {};
}

int64_t tuple_place(const TupleDesc& d, const int64_t* tuple) {
  int64_t at = 0;
  for (size_t i = 0; i < d.sizes.size(); ++i) at += from_start(tuple[i], d.sizes[i]) * d.strides[i];
  return at;
}

// Calls f with a null pointer to an unsigned type of that many bytes.
template <class F>
void with_bytes(int bytes, F&& f) {
  switch (bytes) {
    case 1:
      return f(static_cast<uint8_t*>(nullptr));
    case 2:
      return f(static_cast<uint16_t*>(nullptr));
    case 4:
      return f(static_cast<uint32_t*>(nullptr));
    default:
      return f(static_cast<uint64_t*>(nullptr));
  }
}

// ---- combining
// ----------------------------------------------------------------------------------------------------

// How elements are stored and in what they are computed.
template <class T>
struct Plain {
  using Stored = T;
  static T load(T v) { return v; }
  static T store(T v) { return v; }
};
struct Half {
  using Stored = uint16_t;
  static float load(uint16_t v) { return f16_to_f32(v); }
  static uint16_t store(float v) { return f32_to_f16(v); }
};
struct Brain {
  using Stored = uint16_t;
  static float load(uint16_t v) { return bf16_to_f32(v); }
  static uint16_t store(float v) { return f32_to_bf16(v); }
};

template <class T>
T combined(Combine c, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (c == Combine::add) return a + b;
    if (c == Combine::mul) return a * b;
    if (std::isnan(a) || std::isnan(b)) return T(NAN);
  } else {
    using U = std::make_unsigned_t<T>;  // wraps, also where a narrower product is computed in int
    if (c == Combine::add) return T(uint64_t(U(a)) + uint64_t(U(b)));
    if (c == Combine::mul) return T(uint64_t(U(a)) * uint64_t(U(b)));
  }
  return c == Combine::max ? std::max(a, b) : std::min(a, b);
}

template <class F>
void with_type(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(Plain<float>());
    case DType::f64:
      return f(Plain<double>());
    case DType::f16:
      return f(Half());
    case DType::bf16:
      return f(Brain());
    case DType::i8:
      return f(Plain<int8_t>());
    case DType::i16:
      return f(Plain<int16_t>());
    case DType::i32:
      return f(Plain<int32_t>());
    case DType::i64:
      return f(Plain<int64_t>());
    case DType::u8:
      return f(Plain<uint8_t>());
    case DType::u16:
      return f(Plain<uint16_t>());
    case DType::u32:
      return f(Plain<uint32_t>());
    default:
      return f(Plain<uint64_t>());
  }
}

template <class Type>
void combine_run(Combine c, typename Type::Stored* y, const typename Type::Stored* updates, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = Type::store(combined(c, Type::load(y[i]), Type::load(updates[i])));
}

// ---- one index an element
// ------------------------------------------------------------------------------------------

// The index tensor as [outer, n, inner] around the axis, and where an outer and an inner index lie in the
// data.
struct Walk {
  int64_t outer = 1, n = 1, inner = 1, axis = 1, step = 1;  // axis: the data's size, step: its stride
  Shape outer_shape, outer_strides, inner_shape, inner_strides;
  bool dense_inner = true;

  explicit Walk(const ElementsDesc& d) {
    const Shape strides = row_major_strides(d.data);
    const auto at = size_t(d.axis);
    n = d.indices[at], axis = d.data[at], step = strides[at];
    for (size_t i = 0; i < d.data.size(); ++i) {
      if (i == at) continue;
      (i < at ? outer : inner) *= d.indices[i];
      (i < at ? outer_shape : inner_shape).push_back(d.indices[i]);
      (i < at ? outer_strides : inner_strides).push_back(strides[i]);
      if (i > at + 1 && d.indices[i] != d.data[i]) dense_inner = false;  // a gap between two runs
    }
  }
  static int64_t place(int64_t index, const Shape& shape, const Shape& strides) {
    int64_t at = 0;
    for (size_t i = shape.size(); i-- > 0; index /= shape[i]) at += index % shape[i] * strides[i];
    return at;
  }
  int64_t outer_place(int64_t o) const { return place(o, outer_shape, outer_strides); }
  int64_t inner_place(int64_t i) const { return dense_inner ? i : place(i, inner_shape, inner_strides); }
};

// Calls f(element of the index tensor, place in the data) for all, threads taking whole outer indices: those
// never meet in one place. Errors: the first index out of range.
template <class I, class F>
Status each_element(ThreadPool& pool, const ElementsDesc& d, const I* indices, F&& f) {
  const Walk w(d);
  const int64_t count = num_elements(d.indices);
  if (count == 0) return {};
  std::atomic<bool> broken = false;
  parallel_ranges(pool, count, 1, [&](int64_t begin, int64_t end, int) {
    bool bad = false;
    for (int64_t e = begin; e < end; ++e) bad |= !in_range(indices[e], w.axis);
    if (bad) broken = true;
  });
  if (broken)
    return out_of_range(*std::find_if(indices, indices + count, [&](I i) { return !in_range(i, w.axis); }),
                        w.axis);
  parallel_ranges(pool, w.outer, w.n * w.inner, [&](int64_t begin, int64_t end, int) {
    for (int64_t o = begin; o < end; ++o) {
      const int64_t base = w.outer_place(o);
      int64_t e = o * w.n * w.inner;
      for (int64_t k = 0; k < w.n; ++k)
        for (int64_t i = 0; i < w.inner; ++i, ++e)
          f(e, base + from_start(indices[e], w.axis) * w.step + w.inner_place(i));
    }
  });
  return {};
}

template <class F>
Status with_index(const ElementsDesc& d, const void* indices, F&& f) {
  return d.index_type == DType::i32 ? f(static_cast<const int32_t*>(indices))
                                    : f(static_cast<const int64_t*>(indices));
}

}  // namespace

bool combine_holds(Combine c, DType t) {
  if (c == Combine::none) return bits(t) >= 8 && bits(t) <= 64 && t != DType::str;
  return kNumeric.contains(t);
}

void copy_bytes(ThreadPool& pool, const void* x, void* y, int64_t bytes) {
  constexpr int64_t kPiece = 64;  // a thread's pieces begin at whole cache lines
  parallel_ranges(pool, (bytes + kPiece - 1) / kPiece, kPiece / 4, [&](int64_t begin, int64_t end, int) {
    const int64_t from = begin * kPiece, to = std::min(bytes, end * kPiece);
    std::memcpy(static_cast<char*>(y) + from, static_cast<const char*>(x) + from, size_t(to - from));
  });
}

Status gather_nd(ThreadPool& pool, const TupleDesc& d, const void* x, const int64_t* indices, void* y) {
  if (d.tuples == 0 || d.batches == 0) return {};
  TRY(check_tuples(d, indices));
  if (d.slice == 0) return {};
  const int64_t k = int64_t(d.sizes.size()), each = d.tuples / d.batches;
  with_bytes(bits(d.type) / 8, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const auto* from = static_cast<const T*>(x);
    auto* to = static_cast<T*>(y);
    parallel_ranges(pool, d.tuples, d.slice + k, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        const T* at = from + t / each * d.area + tuple_place(d, indices + t * k);
        if (d.slice == 1)
          to[t] = *at;
        else
          std::memcpy(to + t * d.slice, at, size_t(d.slice) * sizeof(T));
      }
    });
  });
  return {};
}

Status scatter_nd(ThreadPool& pool, const TupleDesc& d, const int64_t* indices, const void* updates,
                  void* y) {
  if (d.tuples == 0) return {};
  TRY(check_tuples(d, indices));
  if (d.slice == 0) return {};
  const int64_t k = int64_t(d.sizes.size());
  // Tuples may name one place several times, so threads share the elements of the slices and not the tuples.
  const auto each = [&](auto&& f) {
    parallel_ranges(pool, d.slice, d.tuples, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = 0; t < d.tuples; ++t)
        f(tuple_place(d, indices + t * k) + begin, t * d.slice + begin, end - begin);
    });
  };
  if (d.combine == Combine::none) {
    with_bytes(bits(d.type) / 8, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      auto* to = static_cast<T*>(y);
      const auto* from = static_cast<const T*>(updates);
      each([&](int64_t at, int64_t source, int64_t n) {
        if (n == 1)
          to[at] = from[source];
        else
          std::memcpy(to + at, from + source, size_t(n) * sizeof(T));
      });
    });
  } else {
    with_type(d.type, [&](auto type) {
      using Type = decltype(type);
      using T = typename Type::Stored;
      each([&](int64_t at, int64_t source, int64_t n) {
        combine_run<Type>(d.combine, static_cast<T*>(y) + at, static_cast<const T*>(updates) + source, n);
      });
    });
  }
  return {};
}

Status gather_elements(ThreadPool& pool, const ElementsDesc& d, const void* x, const void* indices, void* y) {
  return with_index(d, indices, [&](const auto* index) {
    Status status;
    with_bytes(bits(d.type) / 8, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      status = each_element(
          pool, d, index, [from = static_cast<const T*>(x), to = static_cast<T*>(y)](int64_t e, int64_t at) {
            to[e] = from[at];
          });
    });
    return status;
  });
}

Status scatter_elements(ThreadPool& pool, const ElementsDesc& d, const void* indices, const void* updates,
                        void* y) {
  return with_index(d, indices, [&](const auto* index) {
    Status status;
    if (d.combine == Combine::none) {
      with_bytes(bits(d.type) / 8, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        status = each_element(pool, d, index,
                              [from = static_cast<const T*>(updates), to = static_cast<T*>(y)](
                                  int64_t e, int64_t at) { to[at] = from[e]; });
      });
    } else {
      with_type(d.type, [&](auto type) {
        using Type = decltype(type);
        using T = typename Type::Stored;
        status =
            each_element(pool, d, index,
                         [&, from = static_cast<const T*>(updates), to = static_cast<T*>(y)](
                             int64_t e, int64_t at) { combine_run<Type>(d.combine, to + at, from + e, 1); });
      });
    }
    return status;
  });
}

// ---- what is not zero
// ----------------------------------------------------------------------------------------------

bool nonzero_holds(DType t) {
  return (kNumeric | kBool).contains(t);
}

// Calls f(i) for each element of n that is not zero.
template <class F>
static void each_nonzero(DType t, const void* x, int64_t n, F&& f) {
  with_bytes(bits(t) / 8, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T value = is_float(t) ? T(T(~T(0)) >> 1) : T(~T(0));  // all but a float's sign
    const auto* p = static_cast<const T*>(x);
    for (int64_t i = 0; i < n; ++i)
      if (p[i] & value) f(i);
  });
}

int64_t count_nonzero(DType t, const void* x, int64_t n) {
  int64_t count = 0;
  with_bytes(bits(t) / 8, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T value = is_float(t) ? T(T(~T(0)) >> 1) : T(~T(0));
    const auto* p = static_cast<const T*>(x);
    for (int64_t i = 0; i < n; ++i) count += (p[i] & value) != 0;
  });
  return count;
}

void find_nonzero(DType t, const Shape& shape, const void* x, int64_t count, int64_t* y) {
  const int64_t rank = int64_t(shape.size());
  if (rank == 0 || count == 0) return;
  const int64_t columns = shape.back(), rows = columns ? num_elements(shape) / columns : 0;
  const auto* bytes = static_cast<const char*>(x);
  Shape at(shape.size(), 0);
  int64_t k = 0;
  for (int64_t r = 0; r < rows; ++r) {
    each_nonzero(t, bytes + r * columns * (bits(t) / 8), columns, [&](int64_t i) {
      if (k == count) return;  // the data changed under us
      for (int64_t d = 0; d + 1 < rank; ++d) y[d * count + k] = at[size_t(d)];
      y[(rank - 1) * count + k++] = i;
    });
    for (size_t d = shape.size() - 1; d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
}

}  // namespace tenon::cpu
