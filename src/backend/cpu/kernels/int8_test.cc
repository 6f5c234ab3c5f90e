#include "backend/cpu/kernels/int8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/tensor.h"

namespace tenon::cpu {
namespace {

std::vector<uint8_t> random_bytes(std::mt19937& rng, int64_t n) {
  std::vector<uint8_t> v(static_cast<size_t>(n));
  // The ends of the range come often: they are what saturating sums would get wrong.
  for (uint8_t& b : v) {
    const uint32_t r = rng();
    b = r % 4 ? uint8_t(r >> 8) : uint8_t(r % 8 ? 255 : 128);
  }
  return v;
}
int64_t value(bool is_signed, uint8_t b) {
  return is_signed ? int64_t(int8_t(b)) : int64_t(b);
}

struct Scratch {
  explicit Scratch(int64_t bytes) : tensor(Tensor::make(DType::u8, {bytes})) {
    std::fill_n(tensor.as<uint8_t>(), bytes, uint8_t(0xcd));
  }
  void* get() { return tensor.data(); }
  Tensor tensor;
};

void check_matmul(int64_t m, int64_t n, int64_t k, bool a_signed, bool b_signed, bool zeros, bool each) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k << " signed " << a_signed << b_signed
                                  << " zeros " << zeros << each);
  std::mt19937 rng(uint32_t(m * 7 + n * 3 + k));
  const auto a = random_bytes(rng, m * k), b = random_bytes(rng, k * n);
  std::vector<int32_t> az, bz;
  for (int64_t i = 0; zeros && i < (each ? m : 1); ++i)
    az.push_back(int32_t(rng() % 256) - (a_signed ? 128 : 0));
  for (int64_t i = 0; zeros && i < (each ? n : 1); ++i)
    bz.push_back(int32_t(rng() % 256) - (b_signed ? 128 : 0));
  std::vector<int64_t> want(size_t(m * n), 0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t p = 0; p < k; ++p)
        want[size_t(i * n + j)] +=
            (value(a_signed, a[size_t(i * k + p)]) - (zeros ? az[size_t(each ? i : 0)] : 0)) *
            (value(b_signed, b[size_t(p * n + j)]) - (zeros ? bz[size_t(each ? j : 0)] : 0));
  Scratch packed(int8_packed_bytes(k, n));
  int8_pack(k, n, b_signed, b.data(), packed.get());
  std::vector<double> row_scale;
  std::vector<float> col_scale, bias;
  for (int64_t i = 0; i < m; ++i) row_scale.push_back(1e-3 * double(1 + i % 5));
  for (int64_t j = 0; j < n; ++j) col_scale.push_back(0.5f + float(j % 3)), bias.push_back(float(j % 7) - 3);
  for (Isa isa : supported_isas())
    for (int threads : {1, 3}) {
      ThreadPool pool(threads);
      const Int8MatMulDesc d{isa, m, n, k, a_signed, b_signed};
      Scratch scratch(int8_matmul_scratch_bytes(d, threads));
      const Int8Zeros z{zeros ? az.data() : nullptr, zeros ? bz.data() : nullptr, each ? m : 1, each ? n : 1};
      std::vector<int32_t> ints(size_t(m * n) + 1, 77);
      int8_matmul(pool, d, a.data(), packed.get(), z, {}, ints.data(), scratch.get());
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_EQ(ints[i], int32_t(want[i])) << isa_name(isa) << " " << i;
      ASSERT_EQ(ints.back(), 77);
      Int8Output o;
      o.type = DType::f32, o.row_scale = row_scale.data(), o.row_scales = m, o.col_scale = col_scale.data(),
      o.col_bias = bias.data();
      std::vector<float> floats(size_t(m * n) + 1, 77);
      int8_matmul(pool, d, a.data(), packed.get(), z, o, floats.data(), scratch.get());
      for (size_t i = 0; i < want.size(); ++i) {
        const size_t r = i / size_t(n), c = i % size_t(n);
        const double exact = double(want[i]) * row_scale[r] * double(col_scale[c]) + double(bias[c]);
        ASSERT_NEAR(floats[i], exact, 2e-7 * std::fabs(exact)) << i;
      }
      ASSERT_EQ(floats.back(), 77);
      for (DType t : {DType::u8, DType::i8}) {
        Int8Output q;
        const double scale = 0.5 / std::max<double>(1, double(k) * 64);
        q.type = t, q.row_scale = &scale, q.zero = 3;
        std::vector<uint8_t> bytes(size_t(m * n) + 1, 77);
        int8_matmul(pool, d, a.data(), packed.get(), z, q, bytes.data(), scratch.get());
        const double low = t == DType::u8 ? 0 : -128;
        for (size_t i = 0; i < want.size(); ++i)
          ASSERT_EQ(double(value(t == DType::i8, bytes[i])),
                    std::fmin(std::fmax(std::nearbyint(double(want[i]) * scale) + 3, low), low + 255))
              << i;
        ASSERT_EQ(bytes.back(), 77);
      }
    }
}

TEST(Int8, MatMul) {
  for (int64_t m : {1, 5, 13, 50})
    for (int64_t n : {1, 16, 31, 65})
      for (int64_t k : {1, 4, 7, 130}) check_matmul(m, n, k, m % 2, n % 2, k % 3, n % 3 == 0);
  for (bool a : {false, true})
    for (bool b : {false, true})
      for (bool each : {false, true}) check_matmul(25, 70, 67, a, b, true, each);
  check_matmul(3, 4, 0, false, true, true, true);
  check_matmul(0, 4, 3, false, true, false, false);
  check_matmul(4, 0, 3, true, true, false, false);
  check_matmul(200, 129, 64, false, true, false, false);  // rows are read in place
}

void check_conv(Int8ConvDesc d, bool zeros) {
  SCOPED_TRACE(testing::Message() << d.batch << " " << d.groups << "x" << d.in_channels << "->"
                                  << d.out_channels << " plane " << d.in_plane() << " signed " << d.x_signed
                                  << d.w_signed);
  std::mt19937 rng(5);
  const int64_t channels = d.groups * d.out_channels, k = d.in_channels * d.taps();
  const auto x = random_bytes(rng, d.batch * d.groups * d.in_channels * d.in_plane()),
             w = random_bytes(rng, channels * k);
  std::vector<int32_t> wz;
  for (int64_t i = 0; i < channels; ++i)
    wz.push_back(zeros ? int32_t(rng() % 256) - (d.w_signed ? 128 : 0) : 0);
  const int32_t xz = zeros ? 17 - (d.x_signed ? 128 : 0) : 0;
  std::vector<int32_t> want;
  const Window *w0 = &d.windows[0], *w1 = &d.windows[1], *w2 = &d.windows[2];
  for (int64_t n = 0; n < d.batch; ++n)
    for (int64_t m = 0; m < channels; ++m)
      for (int64_t o = 0; o < d.out_plane(); ++o) {
        int64_t sum = 0;
        for (int64_t c = 0; c < d.in_channels; ++c)
          for (int64_t t = 0; t < d.taps(); ++t) {
            const int64_t i2 = w2->at(o % w2->out, t % w2->kernel),
                          i1 = w1->at(o / w2->out % w1->out, t / w2->kernel % w1->kernel),
                          i0 = w0->at(o / (w2->out * w1->out), t / (w2->kernel * w1->kernel));
            if (i0 < 0 || i0 >= w0->in || i1 < 0 || i1 >= w1->in || i2 < 0 || i2 >= w2->in) continue;
            const int64_t plane = (n * d.groups + m / d.out_channels) * d.in_channels + c;
            sum += (value(d.x_signed, x[size_t((plane * w0->in + i0) * w1->in * w2->in + i1 * w2->in + i2)]) -
                    xz) *
                   (value(d.w_signed, w[size_t(m * k + c * d.taps() + t)]) - wz[size_t(m)]);
          }
        want.push_back(int32_t(sum));
      }
  Scratch packed(int8_conv_packed_bytes(d));
  for (Isa isa : supported_isas())
    for (int threads : {1, 3}) {
      ThreadPool pool(threads);
      d.isa = isa;
      int8_conv_pack(d, w.data(), packed.get());
      Scratch scratch(int8_conv_scratch_bytes(d, threads));
      std::vector<int32_t> got(want.size() + 1, 77);
      int8_conv(pool, d, x.data(), packed.get(), xz, wz.data(), channels, {}, got.data(), scratch.get());
      for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(got[i], want[i]) << isa_name(isa) << " " << i;
      ASSERT_EQ(got.back(), 77);
    }
}

Window window(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  const int64_t out = (in + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
  return {kernel, stride, dilation, pad, pad, in, out};
}

TEST(Int8, Conv) {
  const Window one = window(1, 1, 1, 1, 0);
  for (bool x : {false, true})
    for (bool w : {false, true})
      for (bool zeros : {false, true}) {
        check_conv({Isa::baseline, 2, 1, 3, 14, {one, window(9, 3, 1, 1, 1), window(11, 3, 1, 1, 1)}, x, w},
                   zeros);
        check_conv({Isa::baseline, 1, 2, 5, 3, {one, window(7, 1, 1, 1, 0), window(13, 1, 1, 1, 0)}, x, w},
                   zeros);
        check_conv({Isa::baseline, 1, 6, 1, 1, {one, window(12, 3, 2, 1, 1), window(15, 3, 2, 1, 1)}, x, w},
                   zeros);
      }
  check_conv({Isa::baseline, 1, 1, 2, 4, {one, one, window(40, 5, 2, 3, 4)}, false, true}, true);
  check_conv({Isa::baseline,
              1,
              1,
              2,
              4,
              {window(5, 2, 1, 2, 1), window(6, 3, 2, 1, 2), window(7, 3, 3, 1, 2)},
              false,
              true},
             true);
  check_conv({Isa::baseline, 1, 1, 1, 2, {one, window(2, 5, 1, 1, 4), window(3, 5, 1, 1, 4)}, true, true},
             true);  // mostly border
  check_conv({Isa::baseline, 0, 1, 1, 2, {one, one, window(5, 1, 1, 1, 0)}, true, true}, false);
}

}  // namespace
}  // namespace tenon::cpu
