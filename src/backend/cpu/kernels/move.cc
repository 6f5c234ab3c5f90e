#include "backend/cpu/kernels/move.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {

namespace {

constexpr size_t kMaxOuter = 16;  // dims that are left after joining, without the innermost

struct Bytes16 {
  uint64_t a, b;
};
// Calls f with a null pointer to an unsigned type of that size.
template <class F>
void with_width(int bytes, F f) {
  switch (bytes) {
    case 1: return f(static_cast<uint8_t*>(nullptr));
    case 2: return f(static_cast<uint16_t*>(nullptr));
    case 4: return f(static_cast<uint32_t*>(nullptr));
    case 8: return f(static_cast<uint64_t*>(nullptr));
    default: return f(static_cast<Bytes16*>(nullptr));
  }
}
bool known_width(int bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16; }

template <class T>
void copy_elements(const char* from, char* to, int64_t n, int64_t from_stride, int64_t to_stride) {
  auto* in = reinterpret_cast<const T*>(from);
  auto* out = reinterpret_cast<T*>(to);
  if (to_stride == 1 && from_stride == 0) std::fill(out, out + n, *in);
  else if (to_stride == 1 && from_stride == 2)
    for (int64_t i = 0; i < n; ++i) out[i] = in[2 * i];
  else if (to_stride == 1 && from_stride == -1)
    for (int64_t i = 0; i < n; ++i) out[i] = in[-i];
  else
    for (int64_t i = 0; i < n; ++i) out[i * to_stride] = in[i * from_stride];
}

}  // namespace

// ---- strided copies --------------------------------------------------------------------------------------------------

Result<CopyPlan> CopyPlan::make(int element_bytes, const Shape& shape, const Shape& in_strides, const Shape& out_strides) {
  if (!known_width(element_bytes)) return unsupported("copy kernels do not hold elements of ", element_bytes, " bytes");
  CopyPlan plan;
  plan.bytes_ = element_bytes;
  Shape dims, in, out;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0) return plan;  // no rows
    if (shape[d] == 1) continue;
    const bool join = !dims.empty() && in.back() == in_strides[d] * shape[d] && out.back() == out_strides[d] * shape[d];
    if (join) dims.back() *= shape[d], in.back() = in_strides[d], out.back() = out_strides[d];
    else dims.push_back(shape[d]), in.push_back(in_strides[d]), out.push_back(out_strides[d]);
  }
  plan.inner_ = 1, plan.inner_in_ = plan.inner_out_ = 1;
  if (!dims.empty()) {
    plan.inner_ = dims.back(), plan.inner_in_ = in.back(), plan.inner_out_ = out.back();
    dims.pop_back(), in.pop_back(), out.pop_back();
  }
  if (dims.size() > kMaxOuter) return unsupported("copy kernels do not walk ", dims.size() + 1, " dims");
  plan.outer_ = dims;
  plan.rows_ = 1;
  for (size_t d = 0; d < dims.size(); ++d) {
    plan.rows_ *= dims[d];
    plan.outer_in_.push_back(in[d] * element_bytes);
    plan.outer_out_.push_back(out[d] * element_bytes);
  }
  return plan;
}

void CopyPlan::run(ThreadPool& pool, const void* x, void* y) const {
  if (rows_ == 0) return;
  const auto* in = static_cast<const char*>(x);
  auto* out = static_cast<char*>(y);
  // Long rows are cut too.
  const int64_t cuts = std::clamp<int64_t>(inner_ / 32768, 1, 64);
  parallel_ranges(pool, rows_ * cuts, inner_ / cuts, [&](int64_t begin, int64_t end, int) {
    with_width(bytes_, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      // The index of the first row is computed; later ones are stepped to.
      int64_t index[kMaxOuter] = {};
      int64_t from = 0, to = 0, rest = begin / cuts;
      const size_t rank = outer_.size();
      for (size_t d = rank; d-- > 0; rest /= outer_[d]) {
        const int64_t i = rest % outer_[d];
        index[d] = i;
        from += i * outer_in_[d], to += i * outer_out_[d];
      }
      for (int64_t t = begin; t < end; ++t) {
        const int64_t cut = t % cuts, first = inner_ * cut / cuts, n = inner_ * (cut + 1) / cuts - first;
        const char* p = in + from + first * inner_in_ * bytes_;
        char* q = out + to + first * inner_out_ * bytes_;
        if (inner_in_ == 1 && inner_out_ == 1) std::memcpy(q, p, size_t(n * bytes_));
        else copy_elements<T>(p, q, n, inner_in_, inner_out_);
        if (cut + 1 < cuts) continue;
        for (size_t d = rank; d-- > 0;) {
          from += outer_in_[d], to += outer_out_[d];
          if (++index[d] < outer_[d]) break;
          from -= outer_in_[d] * outer_[d], to -= outer_out_[d] * outer_[d];
          index[d] = 0;
        }
      }
    });
  });
}

// ---- padding -----------------------------------------------------------------------------------------------------------

Result<PadPlan> PadPlan::make(PadMode mode, int element_bytes, const Shape& shape, const Shape& begin, const Shape& end) {
  if (!known_width(element_bytes)) return unsupported("pad kernels do not hold elements of ", element_bytes, " bytes");
  PadPlan plan;
  plan.bytes_ = element_bytes;
  // Dims without padding join the dim before them, padding of that dim then being worth so many elements.
  Shape size, before, after;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!size.empty() && begin[d] == 0 && end[d] == 0 && mode == PadMode::constant) {
      size.back() *= shape[d], before.back() *= shape[d], after.back() *= shape[d];
    } else {
      size.push_back(shape[d]), before.push_back(begin[d]), after.push_back(end[d]);
    }
  }
  if (size.empty()) size = {1}, before = {0}, after = {0};
  const Shape strides = row_major_strides(size);
  plan.rows_ = 1;
  for (size_t d = 0; d < size.size(); ++d) {
    const int64_t n = before[d] + size[d] + after[d];
    if (n < 0) return invalid_argument("padding of ", before[d], " and ", after[d], " leaves nothing of ", size[d], " elements");
    plan.out_.push_back(n);
    if (d + 1 < size.size()) plan.rows_ *= n;
    std::vector<int64_t> from(size_t(n), -1);
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = i - before[d];
      if (size[d] > 0 && mode == PadMode::edge) at = std::clamp<int64_t>(at, 0, size[d] - 1);
      if (size[d] > 0 && mode == PadMode::wrap) at = (at % size[d] + size[d]) % size[d];
      if (size[d] > 1 && mode == PadMode::reflect) {
        const int64_t period = 2 * (size[d] - 1);
        at = (at % period + period) % period;
        at = std::min(at, period - at);
      } else if (size[d] == 1 && mode == PadMode::reflect) {
        at = 0;
      }
      if (at >= 0 && at < size[d]) from[size_t(i)] = at * strides[d];
    }
    plan.from_.push_back(std::move(from));
  }
  const size_t last = size.size() - 1;
  plan.row_begin_ = std::clamp<int64_t>(before[last], 0, plan.out_[last]);
  plan.row_from_ = std::max<int64_t>(0, -before[last]);
  plan.row_count_ = std::max<int64_t>(0, std::min(size[last] - plan.row_from_, plan.out_[last] - plan.row_begin_));
  if (num_elements(plan.out_) == 0) plan.rows_ = 0;
  return plan;
}

void PadPlan::run(ThreadPool& pool, const void* x, const void* value, void* y) const {
  if (rows_ == 0) return;
  const size_t last = out_.size() - 1;
  const int64_t n = out_[last];
  parallel_ranges(pool, rows_, n, [&](int64_t begin, int64_t end, int) {
    with_width(bytes_, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      T fill{};
      if (value) std::memcpy(&fill, value, sizeof(T));
      const auto* in = static_cast<const T*>(x);
      const int64_t* columns = from_[last].data();
      for (int64_t row = begin; row < end; ++row) {
        T* out = static_cast<T*>(y) + row * n;
        int64_t offset = 0, rest = row;
        for (size_t d = last; d-- > 0; rest /= out_[d]) {
          const int64_t at = from_[d][size_t(rest % out_[d])];
          offset = at < 0 || offset < 0 ? -1 : offset + at;
        }
        if (offset < 0) {
          std::fill(out, out + n, fill);
          continue;
        }
        const T* from = in + offset;
        auto side = [&](int64_t i, int64_t stop) {
          for (; i < stop; ++i) out[i] = columns[i] < 0 ? fill : from[columns[i]];
        };
        side(0, row_begin_);
        if (row_count_ > 0) std::memcpy(static_cast<void*>(out + row_begin_), from + row_from_, size_t(row_count_) * sizeof(T));
        side(row_begin_ + row_count_, n);
      }
    });
  });
}

// ---- gather ------------------------------------------------------------------------------------------------------------

template <class I>
static Status gather_typed(ThreadPool& pool, const GatherDesc& k, const char* x, const I* indices, char* y) {
  for (int64_t i = 0; i < k.count; ++i)
    if (int64_t(indices[i]) < -k.axis || int64_t(indices[i]) >= k.axis)
      return invalid_argument("index ", int64_t(indices[i]), " is out of range [", -k.axis, ", ", k.axis, ")");
  const int64_t row = k.inner * k.element_bytes;
  parallel_ranges(pool, k.outer * k.count, k.inner, [&](int64_t begin, int64_t end, int) {
    auto source = [&](int64_t t) {
      const int64_t i = indices[t % k.count];
      return x + (t / k.count * k.axis + (i < 0 ? i + k.axis : i)) * row;
    };
    if (k.inner == 1 && known_width(k.element_bytes)) {
      with_width(k.element_bytes, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        for (int64_t t = begin; t < end; ++t) reinterpret_cast<T*>(y)[t] = *reinterpret_cast<const T*>(source(t));
      });
      return;
    }
    constexpr int64_t kAhead = 6;  // rows lie anywhere, so the hardware does not see the next one coming
    for (int64_t t = begin; t < end; ++t) {
      if (t + kAhead < end) __builtin_prefetch(source(t + kAhead));
      std::memcpy(y + t * row, source(t), size_t(row));
    }
  });
  return {};
}

Status gather(ThreadPool& pool, const GatherDesc& k, const void* x, const void* indices, void* y) {
  const auto* in = static_cast<const char*>(x);
  auto* out = static_cast<char*>(y);
  if (k.index_type == DType::i32) return gather_typed(pool, k, in, static_cast<const int32_t*>(indices), out);
  return gather_typed(pool, k, in, static_cast<const int64_t*>(indices), out);
}

}  // namespace tenon::cpu
