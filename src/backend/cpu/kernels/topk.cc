// TopK by one integer for each element: its rank in the type's order above its index counted down, so that
// one comparison settles both. Candidates are kept in a buffer of twice k, cut back to k when it is full.
#include "backend/cpu/kernels/topk.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {
namespace {

__extension__ typedef unsigned __int128 Wide;

// An unsigned integer that orders as the elements do: -0 as 0, NaN above all.
template <class U>
U float_key(U bits, U infinity) {
  constexpr U sign = U(1) << (sizeof(U) * 8 - 1);
  const U magnitude = bits & U(~sign);
  if (magnitude > infinity) return U(~U(0));
  if (magnitude == 0) return sign;
  return bits & sign ? U(~bits) : U(bits | sign);
}
template <DType kType>
auto key_of(const void* x, int64_t i) {
  if constexpr (kType == DType::f32)
    return float_key(static_cast<const uint32_t*>(x)[i], 0x7f800000u);
  else if constexpr (kType == DType::f64)
    return float_key(static_cast<const uint64_t*>(x)[i], uint64_t(0x7ff) << 52);
  else if constexpr (kType == DType::f16)
    return uint32_t(float_key(static_cast<const uint16_t*>(x)[i], uint16_t(0x7c00)));
  else if constexpr (kType == DType::bf16)
    return uint32_t(float_key(static_cast<const uint16_t*>(x)[i], uint16_t(0x7f80)));
  else if constexpr (kType == DType::i8)
    return uint32_t(static_cast<const int8_t*>(x)[i] + 128);
  else if constexpr (kType == DType::u8)
    return uint32_t(static_cast<const uint8_t*>(x)[i]);
  else if constexpr (kType == DType::i16)
    return uint32_t(static_cast<const int16_t*>(x)[i] + 32768);
  else if constexpr (kType == DType::u16)
    return uint32_t(static_cast<const uint16_t*>(x)[i]);
  else if constexpr (kType == DType::i32)
    return static_cast<const uint32_t*>(x)[i] ^ 0x80000000u;
  else if constexpr (kType == DType::u32)
    return static_cast<const uint32_t*>(x)[i];
  else if constexpr (kType == DType::i64)
    return static_cast<const uint64_t*>(x)[i] ^ (uint64_t(1) << 63);
  else
    return static_cast<const uint64_t*>(x)[i];
}

// Key and index in one number; 32 bits are enough for the index of anything but an absurd row.
template <class Key>
struct Packed {
  using Entry = std::conditional_t<sizeof(Key) == 4, uint64_t, Wide>;
  using Index = std::conditional_t<sizeof(Key) == 4, uint32_t, uint64_t>;
  static Entry make(Key key, int64_t index) {
    return Entry(key) << (sizeof(Index) * 8) | Index(~Index(index));
  }
  static int64_t index(Entry e) { return int64_t(Index(~Index(e))); }
};

int64_t buffer_entries(const TopKDesc& d) {
  // Short rows are sorted as they are.
  return d.n - d.k < d.k ? d.n : std::min(d.n, std::max<int64_t>(2 * d.k, 64));
}

template <DType kType>
void rows_of(const TopKDesc& d, const void* x, void* values, int64_t* indices, int64_t begin, int64_t end,
             void* memory) {
  using Key = decltype(key_of<kType>(x, 0));
  using P = Packed<Key>;
  using Entry = typename P::Entry;
  auto* buffer = static_cast<Entry*>(memory);
  const int64_t capacity = buffer_entries(d);
  const std::greater<Entry> better;
  const Key flip = d.largest ? Key(0) : Key(~Key(0));
  const size_t bytes = size_t(bits(d.type)) / 8;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t base = row / d.inner * d.n * d.inner + row % d.inner;
    int64_t held = 0;
    Entry least = 0;  // what a candidate must beat
    bool full = false;
    for (int64_t i = 0; i < d.n; ++i) {
      const Entry e = P::make(Key(key_of<kType>(x, base + i * d.inner) ^ flip), i);
      if (full && e <= least) continue;
      buffer[held++] = e;
      if (held == capacity && i + 1 < d.n) {
        std::nth_element(buffer, buffer + d.k - 1, buffer + held, better);
        held = d.k;
        least = buffer[d.k - 1];
        full = true;
      }
    }
    if (held > d.k) std::nth_element(buffer, buffer + d.k - 1, buffer + held, better);
    std::sort(buffer, buffer + d.k, better);
    const int64_t to = row / d.inner * d.k * d.inner + row % d.inner;
    for (int64_t e = 0; e < d.k; ++e) {
      const int64_t from = P::index(buffer[e]), at = to + e * d.inner;
      if (values)
        std::memcpy(static_cast<char*>(values) + size_t(at) * bytes,
                    static_cast<const char*>(x) + size_t(base + from * d.inner) * bytes, bytes);
      if (indices) indices[at] = from;
    }
  }
}

using RowsFn = void (*)(const TopKDesc&, const void*, void*, int64_t*, int64_t, int64_t, void*);
RowsFn rows_function(DType t) {
  switch (t) {
    case DType::f32:
      return rows_of<DType::f32>;
    case DType::f64:
      return rows_of<DType::f64>;
    case DType::f16:
      return rows_of<DType::f16>;
    case DType::bf16:
      return rows_of<DType::bf16>;
    case DType::i8:
      return rows_of<DType::i8>;
    case DType::u8:
      return rows_of<DType::u8>;
    case DType::i16:
      return rows_of<DType::i16>;
    case DType::u16:
      return rows_of<DType::u16>;
    case DType::i32:
      return rows_of<DType::i32>;
    case DType::u32:
      return rows_of<DType::u32>;
    case DType::i64:
      return rows_of<DType::i64>;
    case DType::u64:
      return rows_of<DType::u64>;
    default:
      return nullptr;
  }
}

int64_t worker_bytes(const TopKDesc& d) {
  return int64_t(round_up(size_t(buffer_entries(d)) * (bits(d.type) == 64 ? 16 : 8), 64));
}

}  // namespace

bool top_k_holds(DType t) {
  return rows_function(t) != nullptr;
}

int64_t top_k_scratch_bytes(const TopKDesc& d, int threads) {
  return worker_bytes(d) * threads;
}

void top_k(ThreadPool& pool, const TopKDesc& d, const void* x, void* values, int64_t* indices,
           void* scratch) {
  if (d.k == 0) return;
  const RowsFn rows = rows_function(d.type);
  parallel_ranges(pool, d.outer * d.inner, d.n * 2, [&](int64_t begin, int64_t end, int worker) {
    rows(d, x, values, indices, begin, end, static_cast<char*>(scratch) + worker * worker_bytes(d));
  });
}

// ---- running sums and products
// -------------------------------------------------------------------------------------

namespace {

// How elements are stored, and what runs.
template <class T>
struct Floats {
  using Stored = T;
  using Sum = double;
  static double load(T v) { return double(v); }
  static T store(double v) { return T(v); }
};
struct HalfFloats {
  using Stored = uint16_t;
  using Sum = double;
  static double load(uint16_t v) { return double(f16_to_f32(v)); }
  static uint16_t store(double v) { return uint16_t(encode_float(DType::f16, v)); }
};
struct BrainFloats {
  using Stored = uint16_t;
  using Sum = double;
  static double load(uint16_t v) { return double(bf16_to_f32(v)); }
  static uint16_t store(double v) { return uint16_t(encode_float(DType::bf16, v)); }
};
template <class T>
struct Whole {
  using Stored = T;
  using Sum = uint64_t;
  static uint64_t load(T v) { return uint64_t(v); }
  static T store(uint64_t v) { return T(v); }
};

constexpr int64_t kColumns = 64;  // of one task: their sums stay in the cache

template <class Type, bool kProduct>
void columns_of(const CumulativeDesc& d, const typename Type::Stored* x, typename Type::Stored* y,
                int64_t n) {
  typename Type::Sum running[kColumns];
  std::fill_n(running, n, typename Type::Sum(kProduct ? 1 : 0));
  for (int64_t k = 0; k < d.n; ++k) {
    const int64_t at = (d.reverse ? d.n - 1 - k : k) * d.inner;
    for (int64_t i = 0; i < n; ++i) {
      const auto before = running[i], v = Type::load(x[at + i]);
      running[i] = kProduct ? before * v : before + v;
      y[at + i] = Type::store(d.exclusive ? before : running[i]);
    }
  }
}

template <class Type>
void cumulative_of(ThreadPool& pool, const CumulativeDesc& d, const void* x, void* y) {
  using T = typename Type::Stored;
  const int64_t blocks = (d.inner + kColumns - 1) / kColumns;
  parallel_ranges(pool, d.outer * blocks, d.n * std::min(d.inner, kColumns),
                  [&](int64_t begin, int64_t end, int) {
                    for (int64_t t = begin; t < end; ++t) {
                      const int64_t i = t % blocks * kColumns, at = t / blocks * d.n * d.inner + i,
                                    n = std::min(kColumns, d.inner - i);
                      const auto f = d.product ? columns_of<Type, true> : columns_of<Type, false>;
                      f(d, static_cast<const T*>(x) + at, static_cast<T*>(y) + at, n);
                    }
                  });
}

}  // namespace

bool cumulative_holds(DType t) {
  return (kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64}).contains(t);
}

void cumulative(ThreadPool& pool, const CumulativeDesc& d, const void* x, void* y) {
  if (d.outer == 0 || d.n == 0 || d.inner == 0) return;
  switch (d.type) {
    case DType::f32:
      return cumulative_of<Floats<float>>(pool, d, x, y);
    case DType::f64:
      return cumulative_of<Floats<double>>(pool, d, x, y);
    case DType::f16:
      return cumulative_of<HalfFloats>(pool, d, x, y);
    case DType::bf16:
      return cumulative_of<BrainFloats>(pool, d, x, y);
    case DType::i32:
    case DType::u32:
      return cumulative_of<Whole<uint32_t>>(pool, d, x, y);
    default:
      return cumulative_of<Whole<uint64_t>>(pool, d, x, y);
  }
}

}  // namespace tenon::cpu
