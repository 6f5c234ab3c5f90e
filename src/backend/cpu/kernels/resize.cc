#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/resize.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <type_traits>

#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/resize.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

// Calls f(i, full vector?, lanes) over n elements.
template <class F>
HWY_INLINE void over(int64_t n, F f) {
  const int64_t lanes = int64_t(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, std::true_type(), size_t(lanes));
  if (i < n) f(i, std::false_type(), size_t(n - i));
}
template <class T, class Full>
HWY_INLINE VF get(const T* p, Full, size_t r) {
  if constexpr (Full::value) return load_f32(DF(), p);
  else return load_f32_n(DF(), p, r);
}
template <class T, class Full>
HWY_INLINE void put(VF v, T* p, Full, size_t r) {
  if constexpr (Full::value) store_f32(v, DF(), p);
  else store_f32_n(v, DF(), p, r);
}

// Two rows blended into f32: line[i] = a[i] * wa + b[i] * wb.
template <class T>
HWY_INLINE void blend(const T* a, const T* b, float wa, float wb, float* line, int64_t n) {
  const VF va = hn::Set(DF(), wa), vb = hn::Set(DF(), wb);
  over(n, [&](int64_t i, auto full, size_t r) HWY_ATTR {
    put(hn::MulAdd(get(a + i, full, r), va, hn::Mul(get(b + i, full, r), vb)), line + i, full, r);
  });
}

template <class T>
void linear_last(ThreadPool& pool, const ResizeDesc& k, const ResizeLinearTables& g, const T* x, T* y, float* scratch) {
  const int64_t c = k.channels, line = k.w * c, ld_out = k.ld_out ? k.ld_out : c;
  parallel_ranges(pool, k.batch * k.out_h, (k.w + k.out_w) * c * 2, [&](int64_t begin, int64_t end, int worker) HWY_ATTR {
    float* work = scratch + worker * line;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t h = t % k.out_h;
      const T* image = x + t / k.out_h * k.h * line;
      blend(image + g.rows[2 * h] * line, image + g.rows[2 * h + 1] * line, g.row_weights[2 * h], g.row_weights[2 * h + 1], work, line);
      T* out = y + t * k.out_w * ld_out;
      for (int64_t w = 0; w < k.out_w; ++w) {
        const float *a = work + g.columns[2 * w] * c, *b = work + g.columns[2 * w + 1] * c;
        const VF va = hn::Set(DF(), g.column_weights[2 * w]), vb = hn::Set(DF(), g.column_weights[2 * w + 1]);
        over(c, [&](int64_t i, auto full, size_t r) HWY_ATTR {
          put(hn::MulAdd(get(a + i, full, r), va, hn::Mul(get(b + i, full, r), vb)), out + w * ld_out + i, full, r);
        });
      }
    }
  });
}

template <class T>
void linear_first(ThreadPool& pool, const ResizeDesc& k, const ResizeLinearTables& g, const T* x, T* y, float* scratch) {
  const DF d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  parallel_ranges(pool, k.batch * k.channels * k.out_h, (k.w + k.out_w) * 2, [&](int64_t begin, int64_t end, int worker) HWY_ATTR {
    float* work = scratch + worker * k.w;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t h = t % k.out_h;
      const T* image = x + t / k.out_h * k.h * k.w;
      blend(image + g.rows[2 * h] * k.w, image + g.rows[2 * h + 1] * k.w, g.row_weights[2 * h], g.row_weights[2 * h + 1], work, k.w);
      T* out = y + t * k.out_w;
      for (int64_t w = 0; w < k.out_w; w += lanes) {
        const size_t r = size_t(std::min(lanes, k.out_w - w));
        const DI di;
        hn::VFromD<DI> i0, i1;
        VF w0, w1;
        if (int64_t(r) == lanes) {
          hn::LoadInterleaved2(di, g.columns + 2 * w, i0, i1);
          hn::LoadInterleaved2(d, g.column_weights + 2 * w, w0, w1);
        } else {
          HWY_ALIGN int32_t indices[2 * HWY_LANES(float)] = {};
          HWY_ALIGN float weights[2 * HWY_LANES(float)] = {};
          std::memcpy(indices, g.columns + 2 * w, r * 8);
          std::memcpy(weights, g.column_weights + 2 * w, r * 8);
          hn::LoadInterleaved2(di, indices, i0, i1);
          hn::LoadInterleaved2(d, weights, w0, w1);
        }
        const VF v = hn::MulAdd(hn::GatherIndex(d, work, i0), w0, hn::Mul(hn::GatherIndex(d, work, i1), w1));
        if (int64_t(r) == lanes) store_f32(v, d, out + w);
        else store_f32_n(v, d, out + w, r);
      }
    }
  });
}

void run_linear(ThreadPool& pool, const ResizeDesc& k, const ResizeLinearTables& g, const void* x, void* y, float* scratch) {
  auto go = [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    if (k.channels_last) linear_last(pool, k, g, static_cast<const T*>(x), static_cast<T*>(y), scratch);
    else linear_first(pool, k, g, static_cast<const T*>(x), static_cast<T*>(y), scratch);
  };
  if (k.type == DType::f32) go(static_cast<float*>(nullptr));
  else if (k.type == DType::f16) go(static_cast<float16_t*>(nullptr));
  else if (k.type == DType::bf16) go(static_cast<bfloat16_t*>(nullptr));
}

}  // namespace
}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {
HWY_EXPORT(run_linear);

size_t resize_linear_scratch_bytes(const ResizeDesc& k, int threads) {
  return size_t(k.w * (k.channels_last ? k.channels : 1)) * size_t(threads) * sizeof(float) + 64;
}
void resize_linear(ThreadPool& pool, const ResizeDesc& k, const ResizeLinearTables& tables, const void* x, void* y,
                   void* scratch) {
  if (k.batch == 0 || k.channels == 0 || k.out_h == 0 || k.out_w == 0) return;
  HWY_DYNAMIC_DISPATCH(run_linear)(pool, k, tables, x, y, reinterpret_cast<float*>(align64(scratch)));
}

// Rows that come from the same source row as the one before are copied whole.
template <class T>
static void nearest_typed(ThreadPool& pool, const ResizeDesc& k, const int32_t* rows, const int32_t* columns, const T* x, T* y) {
  const int64_t planes = k.channels_last ? k.batch : k.batch * k.channels, c = k.channels_last ? k.channels : 1;
  const int64_t ld_out = k.ld_out ? k.ld_out : c;
  parallel_ranges(pool, planes * k.out_h, k.out_w * c, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t h = t % k.out_h;
      T* out = y + t * k.out_w * ld_out;
      if (ld_out == c && t > begin && h > 0 && rows[h] == rows[h - 1]) {
        std::copy(out - k.out_w * c, out, out);
        continue;
      }
      const T* in = x + (t / k.out_h * k.h + rows[h]) * k.w * c;
      if (ld_out == 1) {
        for (int64_t w = 0; w < k.out_w; ++w) out[w] = in[columns[w]];
      } else {
        for (int64_t w = 0; w < k.out_w; ++w) std::copy(in + columns[w] * c, in + (columns[w] + 1) * c, out + w * ld_out);
      }
    }
  });
}

void resize_nearest(ThreadPool& pool, const ResizeDesc& k, const int32_t* rows, const int32_t* columns, const void* x,
                    void* y) {
  if (k.batch == 0 || k.channels == 0 || k.out_h == 0 || k.out_w == 0) return;
  switch (bits(k.type)) {
    case 8: return nearest_typed(pool, k, rows, columns, static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y));
    case 16: return nearest_typed(pool, k, rows, columns, static_cast<const uint16_t*>(x), static_cast<uint16_t*>(y));
    case 32: return nearest_typed(pool, k, rows, columns, static_cast<const uint32_t*>(x), static_cast<uint32_t*>(y));
    case 64: return nearest_typed(pool, k, rows, columns, static_cast<const uint64_t*>(x), static_cast<uint64_t*>(y));
    default: return;
  }
}
}  // namespace tenon::cpu
#endif
