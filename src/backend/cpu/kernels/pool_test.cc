#include "backend/cpu/kernels/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/tensor.h"

namespace tenon::cpu {
namespace {

void check(PoolDesc k) {
  SCOPED_TRACE(testing::Message() << name(k.type) << " last " << k.channels_last << " max " << k.max << " c " << k.channels << " w " << k.w
                                  << " kernel " << k.kernel_w << " stride " << k.stride_w << " dilation " << k.dilation_w);
  Tensor x = Tensor::make(k.type, {k.batch, k.channels, k.h, k.w}), y = Tensor::make(k.type, {k.batch, k.ld_out ? k.ld_out : k.channels, k.out_h, k.out_w});
  std::mt19937 rng(2);
  for (int64_t i = 0; i < x.size(); ++i) store_double(k.type, x.data(), i, is_unsigned_int(k.type) ? double(rng() % 256) : is_int(k.type) ? double(rng() % 256) - 128 : double(rng() % 1000) / 100 - 5);
  if (is_float(k.type) && x.size() > 30) store_double(k.type, x.data(), 30, NAN);
  auto place = [&](int64_t n, int64_t c, int64_t i, int64_t j, int64_t h, int64_t w) {
    return k.channels_last ? ((n * h + i) * w + j) * k.channels + c : ((n * k.channels + c) * h + i) * w + j;
  };
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<char> scratch(pool_scratch_bytes(k, threads));
    pool_2d(pool, k, x.data(), y.data(), scratch.data());
    for (int64_t n = 0; n < k.batch; ++n)
      for (int64_t c = 0; c < k.channels; ++c)
        for (int64_t i = 0; i < k.out_h; ++i)
          for (int64_t j = 0; j < k.out_w; ++j) {
            double top = -INFINITY, sum = 0;
            int64_t count = 0;
            for (int64_t p = 0; p < k.kernel_h; ++p)
              for (int64_t q = 0; q < k.kernel_w; ++q) {
                const int64_t a = i * k.stride_h + p * k.dilation_h - k.pad_top, b = j * k.stride_w + q * k.dilation_w - k.pad_left;
                const bool inside = a >= 0 && b >= 0 && a < k.h && b < k.w;
                if (inside || (k.count_include_pad && a < k.h + k.pad_bottom && b < k.w + k.pad_right)) ++count;
                if (!inside) continue;
                const double v = load_double(k.type, x.data(), place(n, c, a, b, k.h, k.w));
                top = std::isnan(top) || top > v ? top : v;
                sum += v;
              }
            double want = k.max ? top : count ? sum / double(count) : 0;
            if (!is_float(k.type)) want = std::max(want, k.type == DType::u8 ? 0.0 : -128.0);
            const int64_t at = k.ld_out ? ((n * k.out_h + i) * k.out_w + j) * k.ld_out + c : place(n, c, i, j, k.out_h, k.out_w);
            const double got = load_double(k.type, y.data(), at);
            if (std::isnan(want)) {
              ASSERT_TRUE(std::isnan(got));
            } else if (want != got) {
              ASSERT_NEAR(got, want, k.max ? 0 : k.type == DType::f32 ? 1e-5 : k.type == DType::f16 ? 1e-2 : 6e-2) << i << " " << j;
            }
          }
  }
}

TEST(Pool, AllForms) {
  for (DType t : {DType::f32, DType::f16, DType::bf16, DType::u8, DType::i8})
    for (bool last : {true, false})
      for (bool max : {true, false})
        for (bool include : {false, true})
          for (int64_t channels : {1, 5, 70})
            for (int form = 0; form < 5; ++form) {
              if (!is_float(t) && !max) continue;
              PoolDesc k;
              k.max = max, k.count_include_pad = include, k.channels_last = last, k.type = t;
              k.batch = 2, k.channels = channels, k.h = 11, k.w = 35;
              k.kernel_h = 3, k.kernel_w = 3;
              if (form == 0) k.stride_h = k.stride_w = 2, k.pad_top = k.pad_left = k.pad_bottom = k.pad_right = 1;
              if (form == 1) k.pad_left = 2, k.dilation_w = 2;
              if (form == 2) k.stride_w = 3, k.kernel_w = 5, k.dilation_h = 3, k.pad_right = 4;
              if (form == 3) k.kernel_h = 11, k.kernel_w = 35;
              if (form == 4) k.h = 1, k.kernel_h = 1, k.kernel_w = 2, k.stride_w = 2;
              auto out = [](int64_t size, int64_t pads, int64_t kernel, int64_t dilation, int64_t stride, bool ceil) {
                const int64_t room = size + pads - (kernel - 1) * dilation - 1;
                return (ceil ? (room + stride - 1) / stride : room / stride) + 1;
              };
              k.out_h = out(k.h, k.pad_top + k.pad_bottom, k.kernel_h, k.dilation_h, k.stride_h, false);
              k.out_w = out(k.w, k.pad_left + k.pad_right, k.kernel_w, k.dilation_w, k.stride_w, form == 2 || form == 4);
              if (last && form == 0) k.ld_out = channels + 3;
              check(k);
            }
}

}  // namespace
}  // namespace tenon::cpu
