// Tests of conv and conv_transpose against plain loops in double, over every way a convolution is carried
// out.
#include "backend/cpu/kernels/conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "backend/cpu/kernels/test_util.h"
#include "ops/common/conv.h"

namespace tenon::cpu {
namespace {

std::string text(const ConvDesc& d) {
  const auto s = [](int64_t v) { return std::to_string(v); };
  return std::string(isa_name(d.isa)) + " " + s(d.batch) + "x" + s(d.in_h) + "x" + s(d.in_w) + "x" +
         s(d.in_c) + " -> " + s(d.out_h) + "x" + s(d.out_w) + "x" + s(d.out_c) + " kernel " + s(d.kernel_h) +
         "x" + s(d.kernel_w) + " stride " + s(d.stride_h) + "," + s(d.stride_w) + " dilation " +
         s(d.dilation_h) + "," + s(d.dilation_w) + " pad " + s(d.pad_top) + "," + s(d.pad_left) + " groups " +
         s(d.groups) + " " + std::string(conv_kind_name(conv_kind(d)));
}

double input_at(const ConvDesc& d, const std::vector<float>& x, int64_t n, int64_t h, int64_t w, int64_t c) {
  if (h < 0 || w < 0 || h >= d.in_h || w >= d.in_w) return 0;
  const int64_t ld = d.ld_in != 0 ? d.ld_in : d.in_c;
  const int64_t i =
      d.nchw_input ? ((n * d.in_c + c) * d.in_h + h) * d.in_w + w : ((n * d.in_h + h) * d.in_w + w) * ld + c;
  return x[static_cast<size_t>(i)];
}

double conv_sum(const ConvDesc& d, const std::vector<float>& x, const std::vector<float>& w, int64_t n,
                int64_t oh, int64_t ow, int64_t o) {
  const int64_t channels = d.in_c / d.groups;
  const int64_t group = o / (d.out_c / d.groups);
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
      for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
        sum += input_at(d, x, n, oh * d.stride_h - d.pad_top + kh * d.dilation_h,
                        ow * d.stride_w - d.pad_left + kw * d.dilation_w, group * channels + c) *
               w[static_cast<size_t>(((o * channels + c) * d.kernel_h + kh) * d.kernel_w + kw)];
      }
    }
  }
  return sum;
}

double transposed_sum(const ConvDesc& d, const std::vector<float>& x, const std::vector<float>& w, int64_t n,
                      int64_t oh, int64_t ow, int64_t o) {
  const int64_t channels = d.in_c / d.groups;
  const int64_t outs = d.out_c / d.groups;
  const int64_t group = o / outs;
  double sum = 0;
  for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
    for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
      const int64_t h = oh + d.pad_top - kh * d.dilation_h;
      const int64_t v = ow + d.pad_left - kw * d.dilation_w;
      if (h % d.stride_h || v % d.stride_w) continue;
      for (int64_t c = group * channels; c < (group + 1) * channels; ++c) {
        sum += input_at(d, x, n, h / d.stride_h, v / d.stride_w, c) *
               w[static_cast<size_t>(((c * outs + o % outs) * d.kernel_h + kh) * d.kernel_w + kw)];
      }
    }
  }
  return sum;
}

enum class Residual { none, separate, in_place };

void check(const ConvDesc& d, Epilogue e, bool transposed, Residual residual_kind = Residual::none) {
  SCOPED_TRACE(text(d));
  const int64_t ld_in = d.ld_in != 0 ? d.ld_in : d.in_c;
  const int64_t ld_out = d.ld_out != 0 ? d.ld_out : d.out_c;
  const int64_t pixels = d.batch * d.out_h * d.out_w;
  const auto x = random_floats(d.batch * d.in_h * d.in_w * ld_in, 1);
  const auto w = random_floats(d.in_c * d.out_c / d.groups * d.kernel_h * d.kernel_w, 2);
  const auto bias = random_floats(d.out_c, 3);
  const auto residual = random_floats(pixels * ld_out, 4);
  if (e.col_bias) e.col_bias = bias.data();
  Floats packed((transposed ? conv_transpose_packed_bytes(d) : conv_packed_bytes(d)) / 4);
  (transposed ? conv_transpose_pack : conv_pack)(d, w.data(), packed.data());
  e.ld_residual = ld_out;
  std::unique_ptr<Floats> first;
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    Floats y(pixels * ld_out);
    if (residual_kind == Residual::separate) e.residual = residual.data();
    if (residual_kind == Residual::in_place) {
      std::copy(residual.begin(), residual.end(), y.data());
      e.residual = y.data();
    }
    Floats scratch((transposed ? conv_transpose_scratch_bytes(d, threads) : conv_scratch_bytes(d, threads)) /
                   4);
    (transposed ? conv_transpose : conv)(d, x.data(), packed.data(), y.data(), e, scratch.data(), pool);
    if (first) {
      EXPECT_TRUE(same_bits(*first, y));
      continue;
    }
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t ow = p % d.out_w;
      const int64_t oh = p / d.out_w % d.out_h;
      const int64_t n = p / (d.out_w * d.out_h);
      for (int64_t o = 0; o < d.out_c; ++o) {
        const double sum = (transposed ? transposed_sum : conv_sum)(d, x, w, n, oh, ow, o);
        const double want = finish_reference(e, sum, 0, o, residual[static_cast<size_t>(p * ld_out + o)]);
        ASSERT_TRUE(close(y[p * ld_out + o], want, 2e-5)) << "pixel " << oh << ", " << ow << " channel " << o;
      }
      // What lies between two pixels belongs to somebody else.
      for (int64_t o = d.out_c; o < ld_out && residual_kind != Residual::in_place; ++o) ASSERT_TRUE(std::isnan(y[p * ld_out + o]));
    }
    first = std::make_unique<Floats>(y.size());
    std::memcpy(first->data(), y.data(), static_cast<size_t>(y.size()) * 4);
  }
}

const float kSome = 0;  // marks an operand that check() fills in

// Sets the output size for padding that is the same on both sides.
ConvDesc sized(ConvDesc d) {
  d.out_h = (d.in_h + 2 * d.pad_top - (d.kernel_h - 1) * d.dilation_h - 1) / d.stride_h + 1;
  d.out_w = (d.in_w + 2 * d.pad_left - (d.kernel_w - 1) * d.dilation_w - 1) / d.stride_w + 1;
  return d;
}

std::vector<ConvDesc> conv_cases() {
  std::vector<ConvDesc> v;
  const auto add = [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, int64_t kh, int64_t kw,
                       int64_t sh, int64_t sw, int64_t dh, int64_t dw, int64_t ph, int64_t pw,
                       int64_t groups) {
    ConvDesc d;
    d.batch = n, d.in_h = h, d.in_w = w, d.in_c = c, d.out_c = o, d.kernel_h = kh, d.kernel_w = kw;
    d.stride_h = sh, d.stride_w = sw, d.dilation_h = dh, d.dilation_w = dw, d.pad_top = ph, d.pad_left = pw;
    d.groups = groups;
    v.push_back(sized(d));
  };
  add(1, 7, 7, 16, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1);
  add(2, 9, 8, 20, 70, 3, 3, 2, 2, 1, 1, 1, 1, 1);
  add(1, 11, 13, 17, 5, 5, 3, 1, 2, 2, 1, 2, 0, 1);
  add(1, 6, 6, 130, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1);  // k is split
  add(1, 5, 5, 900, 20, 1, 1, 2, 2, 1, 1, 0, 0, 1);   // 1x1 with stride
  add(2, 5, 6, 33, 65, 1, 1, 1, 1, 1, 1, 0, 0, 1);    // a plain product
  add(1, 3, 3, 20, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1);    // 1x1 with padding
  add(1, 17, 19, 3, 32, 7, 7, 2, 2, 1, 1, 3, 3, 1);   // first layer
  add(2, 10, 9, 3, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1);
  add(1, 10, 9, 1, 6, 5, 5, 1, 1, 1, 1, 2, 2, 1);
  add(1, 8, 8, 4, 7, 3, 3, 1, 1, 2, 3, 2, 3, 1);     // folded with dilation
  add(1, 1, 40, 24, 20, 1, 9, 1, 2, 1, 1, 0, 4, 1);  // 1-D
  add(1, 7, 6, 24, 36, 3, 3, 1, 1, 1, 1, 1, 1, 3);   // groups
  add(1, 7, 6, 32, 64, 3, 3, 2, 1, 1, 1, 1, 1, 16);
  add(1, 4, 5, 12, 24, 1, 1, 1, 1, 1, 1, 0, 0, 4);
  add(1, 6, 6, 6, 12, 3, 3, 1, 1, 1, 1, 1, 1, 6);  // depth multiplier 2
  for (int64_t c : {4, 24, 40, 96}) {              // small groups
    add(1, 6, 7, c, c, 3, 3, 1, 1, 1, 1, 1, 1, c / 4);
    add(2, 6, 7, c, c, 3, 2, 2, 1, 1, 2, 1, 1, c / 2);
    if (c % 8 == 0) add(1, 5, 9, c, c, 3, 3, 1, 2, 1, 1, 1, 1, c / 8);
  }
  for (int64_t c : {5, 16, 23, 64}) {  // depthwise
    add(1, 7, 7, c, c, 3, 3, 1, 1, 1, 1, 1, 1, c);
    add(2, 9, 14, c, c, 3, 3, 2, 2, 1, 1, 1, 1, c);
    add(1, 8, 13, c, c, 5, 5, 1, 1, 1, 1, 2, 2, c);
    add(1, 8, 15, c, c, 5, 5, 2, 2, 1, 1, 2, 2, c);
    add(1, 9, 9, c, c, 7, 2, 3, 1, 1, 2, 3, 1, c);
    add(1, 3, 40, c, c, 1, 3, 1, 1, 1, 1, 0, 1, c);
  }
  add(0, 7, 7, 16, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1);
  add(1, 7, 7, 16, 0, 3, 3, 1, 1, 1, 1, 1, 1, 1);
  add(1, 2, 2, 0, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1);
  return v;
}

TEST(Conv, Shapes) {
  for (Isa isa : supported_isas()) {
    for (ConvDesc d : conv_cases()) {
      d.isa = isa;
      Epilogue e;
      e.col_bias = &kSome;
      e.act = Activation::relu;
      check(d, e, false);
    }
  }
}

// Both ways to read rows, whatever the number of channels says.
TEST(Conv, FoldedAndNot) {
  for (Isa isa : supported_isas()) {
    for (ConvDesc d : conv_cases()) {
      if (d.groups > 1) continue;
      d.isa = isa;
      for (const ConvDesc::Fold fold : {ConvDesc::Fold::yes, ConvDesc::Fold::no}) {
        d.fold = fold;
        check(d, {}, false);
      }
    }
  }
}

TEST(Conv, ChannelsFirstInput) {
  for (Isa isa : supported_isas()) {
    for (ConvDesc d : conv_cases()) {
      if (d.groups == d.in_c && d.groups > 1) continue;
      d.isa = isa;
      d.nchw_input = true;
      check(d, {}, false);
    }
  }
}

TEST(Conv, EpiloguesAndPitches) {
  for (Isa isa : supported_isas()) {
    for (const ConvDesc& shape : conv_cases()) {
      ConvDesc d = shape;
      d.isa = isa;
      d.ld_in = d.in_c + 3;
      d.ld_out = d.out_c + 5;
      for (Activation act : {Activation::none, Activation::silu, Activation::clip}) {
        for (bool after : {false, true}) {
          Epilogue e;
          e.act = act;
          e.a = -0.5f, e.b = 0.5f;
          e.col_bias = &kSome;
          e.residual_after = after;
          e.alpha = after ? 0.5f : 1.0f;
          check(d, e, false, after ? Residual::in_place : Residual::separate);
        }
      }
    }
  }
}

TEST(Conv, OutputBeyondTheInput) {  // uneven end padding
  for (Isa isa : supported_isas()) {
    for (int64_t groups : {1, 16}) {
      ConvDesc d{.isa = isa,
                 .in_h = 4,
                 .in_w = 5,
                 .in_c = 16,
                 .out_h = 6,
                 .out_w = 9,
                 .out_c = 16,
                 .kernel_h = 3,
                 .kernel_w = 3,
                 .pad_top = 1,
                 .pad_left = 2,
                 .groups = groups};
      check(d, {}, false);
      d.pad_top = d.pad_left = 0;
      d.kernel_h = d.kernel_w = 1;
      check(d, {}, false);
    }
  }
}

TEST(Conv, NanStaysInItsWindow) {
  for (Isa isa : supported_isas()) {
    for (int64_t groups : {1, 20}) {
      const ConvDesc d = sized({.isa = isa,
                                .in_h = 9,
                                .in_w = 9,
                                .in_c = 20,
                                .out_c = 20,
                                .kernel_h = 3,
                                .kernel_w = 3,
                                .pad_top = 1,
                                .pad_left = 1,
                                .groups = groups});
      auto x = random_floats(9 * 9 * 20, 1);
      x[(4 * 9 + 4) * 20 + 6] = std::numeric_limits<float>::quiet_NaN();
      const auto w = random_floats(20 * 20 * 9, 2);
      Floats packed(conv_packed_bytes(d) / 4);
      conv_pack(d, w.data(), packed.data());
      ThreadPool pool(1);
      Floats y(9 * 9 * 20);
      Floats scratch(conv_scratch_bytes(d, 1) / 4);
      Epilogue e;
      e.act = Activation::relu;
      conv(d, x.data(), packed.data(), y.data(), e, scratch.data(), pool);
      for (int64_t i = 0; i < y.size(); ++i) {
        const int64_t h = i / 20 / 9;
        const int64_t v = i / 20 % 9;
        const bool near = std::abs(h - 4) <= 1 && std::abs(v - 4) <= 1 && (groups == 1 || i % 20 == 6);
        EXPECT_EQ(std::isnan(y[i]), near) << i;
      }
    }
  }
}

TEST(ConvTranspose, Shapes) {
  const auto make = [](int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, int64_t k, int64_t s,
                       int64_t dil, int64_t pad, int64_t extra, int64_t groups) {
    ConvDesc d;
    d.batch = n, d.in_h = h, d.in_w = w, d.in_c = c, d.out_c = o, d.kernel_h = k, d.kernel_w = k + 1;
    d.stride_h = d.stride_w = s, d.dilation_h = d.dilation_w = dil, d.pad_top = d.pad_left = pad,
    d.groups = groups;
    d.out_h = (h - 1) * s + (d.kernel_h - 1) * dil + 1 - 2 * pad + extra;
    d.out_w = (w - 1) * s + (d.kernel_w - 1) * dil + 1 - 2 * pad + extra;
    return d;
  };
  const std::vector<ConvDesc> cases = {
      make(1, 4, 5, 8, 20, 2, 2, 1, 0, 0, 1),  make(2, 5, 4, 20, 70, 3, 2, 1, 1, 1, 1),
      make(1, 5, 4, 6, 5, 4, 2, 1, 1, 0, 1),   make(1, 3, 3, 6, 9, 3, 1, 1, 1, 0, 1),
      make(1, 4, 3, 6, 9, 3, 3, 2, 0, 2, 3),   make(1, 4, 3, 6, 6, 2, 4, 1, 0, 3, 6),
      make(1, 3, 3, 200, 30, 5, 2, 1, 2, 1, 1)};
  for (Isa isa : supported_isas()) {
    for (ConvDesc d : cases) {
      d.isa = isa;
      check(d, {}, true);
      d.ld_in = d.in_c + 1;
      d.ld_out = d.out_c + 2;
      Epilogue e;
      e.col_bias = &kSome;
      e.act = Activation::relu;
      check(d, e, true, Residual::separate);
      e.act = Activation::silu;
      check(d, e, true, Residual::in_place);
    }
  }
}

TEST(Conv, Volumes) {
  struct Case {
    int64_t batch, groups, in, out;
    Window windows[3];
  };
  const auto window = [](int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
    return Window{kernel, stride, dilation, pad, pad, in, (in + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1};
  };
  const Case cases[] = {
      {2, 1, 3, 5, {window(5, 3, 1, 1, 1), window(6, 3, 2, 1, 1), window(7, 3, 1, 2, 2)}},
      {1, 2, 4, 7, {window(4, 2, 2, 1, 0), window(3, 1, 1, 1, 0), window(9, 5, 1, 1, 2)}},
      {1, 5, 1, 1, {window(3, 1, 1, 1, 0), window(6, 3, 1, 1, 1), window(6, 3, 1, 1, 1)}},
      {1, 1, 33, 40, {window(2, 1, 1, 1, 0), window(3, 1, 1, 1, 0), window(5, 1, 1, 1, 0)}},
      {0, 1, 3, 5, {window(5, 3, 1, 1, 1), window(6, 3, 2, 1, 1), window(7, 3, 1, 2, 2)}},
  };
  for (const Case& c : cases)
    for (Isa isa : supported_isas()) {
      const Window &w0 = c.windows[0], &w1 = c.windows[1], &w2 = c.windows[2];
      ConvDesc d;
      d.isa = isa, d.volume = true;
      d.batch = c.batch, d.groups = c.groups, d.in_c = c.groups * c.in, d.out_c = c.groups * c.out;
      d.in_d = w0.in, d.out_d = w0.out, d.kernel_d = w0.kernel, d.stride_d = w0.stride, d.dilation_d = w0.dilation, d.pad_front = w0.pad_begin;
      d.in_h = w1.in, d.out_h = w1.out, d.kernel_h = w1.kernel, d.stride_h = w1.stride, d.dilation_h = w1.dilation, d.pad_top = w1.pad_begin;
      d.in_w = w2.in, d.out_w = w2.out, d.kernel_w = w2.kernel, d.stride_w = w2.stride, d.dilation_w = w2.dilation, d.pad_left = w2.pad_begin;
      const int64_t in_plane = w0.in * w1.in * w2.in, out_plane = w0.out * w1.out * w2.out, taps = w0.kernel * w1.kernel * w2.kernel;
      const auto x = random_floats(d.batch * in_plane * d.in_c, 1), w = random_floats(d.out_c * c.in * taps, 2);
      std::vector<double> first(x.size());  // channels first
      for (int64_t n = 0; n < d.batch; ++n)
        for (int64_t p = 0; p < in_plane; ++p)
          for (int64_t k = 0; k < d.in_c; ++k) first[size_t((n * d.in_c + k) * in_plane + p)] = double(x[size_t((n * in_plane + p) * d.in_c + k)]);
      ConvSizes sizes;
      sizes.batch = d.batch, sizes.groups = c.groups, sizes.in_channels = c.in, sizes.out_channels = c.out;
      sizes.windows.assign(c.windows, c.windows + 3);
      const auto want = convolve(sizes, first, {w.begin(), w.end()});
      Floats packed(conv_packed_bytes(d) / 4), y(d.batch * out_plane * d.out_c);
      conv_pack(d, w.data(), packed.data());
      for (int threads : {1, 3}) {
        ThreadPool pool(threads);
        Floats scratch(conv_scratch_bytes(d, threads) / 4 + 16);
        conv(d, x.data(), packed.data(), y.data(), {}, scratch.data(), pool);
        for (int64_t n = 0; n < d.batch; ++n)
          for (int64_t p = 0; p < out_plane; ++p)
            for (int64_t k = 0; k < d.out_c; ++k)
              ASSERT_TRUE(close(y[(n * out_plane + p) * d.out_c + k], want[size_t((n * d.out_c + k) * out_plane + p)], 1e-5)) << n << " " << p << " " << k;
      }
    }
}

}  // namespace
}  // namespace tenon::cpu
