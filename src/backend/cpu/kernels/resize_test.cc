#include "backend/cpu/kernels/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/tensor.h"

namespace tenon::cpu {
namespace {

int64_t place(const ResizeDesc& k, int64_t n, int64_t c, int64_t i, int64_t j, int64_t h, int64_t w) {
  return k.channels_last ? ((n * h + i) * w + j) * k.channels + c : ((n * k.channels + c) * h + i) * w + j;
}

void check(DType t, bool last, int64_t channels, int64_t h, int64_t w, int64_t out_h, int64_t out_w, int64_t apart = 0) {
  ResizeDesc k{last, t, 2, channels, h, w, out_h, out_w, apart ? channels + apart : 0};
  Tensor x = Tensor::make(t, {2, channels, h, w}), y = Tensor::make(t, {2, channels + apart, out_h, out_w});
  std::mt19937 rng(1);
  for (int64_t i = 0; i < x.size(); ++i) store_double(t, x.data(), i, double(rng() % 200) / 2);
  std::vector<int32_t> rows, columns, rows2, columns2;
  std::vector<float> rw, cw;
  auto tables = [](int64_t size, int64_t out, std::vector<int32_t>& one, std::vector<int32_t>& two, std::vector<float>& weight) {
    for (int64_t i = 0; i < out; ++i) {
      const double at = (double(i) + 0.5) * double(size) / double(out) - 0.5, f = std::floor(at);
      auto clamp = [&](double v) { return int32_t(std::min(std::max(v, 0.0), double(size - 1))); };
      one.push_back(clamp(std::floor(at + 0.5)));
      two.push_back(clamp(f)), two.push_back(clamp(f + 1));
      weight.push_back(float(1 - (at - f))), weight.push_back(float(at - f));
    }
  };
  tables(h, out_h, rows, rows2, rw);
  tables(w, out_w, columns, columns2, cw);
  ThreadPool pool(2);
  resize_nearest(pool, k, rows.data(), columns.data(), x.data(), y.data());
  auto each = [&](auto f) {
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = 0; i < out_h; ++i)
          for (int64_t j = 0; j < out_w; ++j) f(n, c, i, j, load_double(t, y.data(), apart ? ((n * out_h + i) * out_w + j) * k.ld_out + c : place(k, n, c, i, j, out_h, out_w)));
  };
  auto in = [&](int64_t n, int64_t c, int64_t i, int64_t j) { return load_double(t, x.data(), place(k, n, c, i, j, h, w)); };
  each([&](int64_t n, int64_t c, int64_t i, int64_t j, double got) { EXPECT_EQ(got, in(n, c, rows[size_t(i)], columns[size_t(j)])); });
  if (!is_float(t)) return;
  std::vector<char> scratch(resize_linear_scratch_bytes(k, 2));
  resize_linear(pool, k, {rows2.data(), rw.data(), columns2.data(), cw.data()}, x.data(), y.data(), scratch.data());
  each([&](int64_t n, int64_t c, int64_t i, int64_t j, double got) {
    double want = 0;
    for (size_t a = 0; a < 2; ++a)
      for (size_t b = 0; b < 2; ++b)
        want += in(n, c, rows2[size_t(2 * i) + a], columns2[size_t(2 * j) + b]) * double(rw[size_t(2 * i) + a]) * double(cw[size_t(2 * j) + b]);
    EXPECT_NEAR(got, want, t == DType::f32 ? 1e-4 : t == DType::f16 ? 0.1 : 0.5);
  });
}

TEST(Resize, BothLayouts) {
  for (bool last : {true, false})
    for (DType t : {DType::f32, DType::f16, DType::bf16, DType::u8, DType::i64})
      for (int64_t channels : {1, 3, 40}) {
        check(t, last, channels, 5, 7, 10, 14);
        check(t, last, channels, 9, 37, 4, 50);
        check(t, last, channels, 1, 1, 3, 3);
        if (last) check(t, last, channels, 5, 7, 10, 14, 3);
      }
}

}  // namespace
}  // namespace tenon::cpu
