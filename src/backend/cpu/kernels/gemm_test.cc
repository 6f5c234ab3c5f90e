// Tests of gemm against plain loops in double: shapes with tails, both forms of B, epilogues, batches,
// threads.
#include "backend/cpu/kernels/gemm.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/cpu/kernels/test_util.h"

namespace tenon::cpu {
namespace {

struct Case {
  int64_t m, n, k;
  bool ta = false, tb = false;
  int64_t pad = 0;  // added to every leading dimension
  std::string text() const {
    return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (ta ? " ta" : "") +
           (tb ? " tb" : "") + " pad " + std::to_string(pad);
  }
};

void check(const Case& c, Isa isa, bool packed, Epilogue e, bool in_place_residual = false) {
  SCOPED_TRACE(c.text() + " " + std::string(isa_name(isa)) + (packed ? " packed" : " dynamic"));
  GemmDesc d;
  d.isa = isa;
  d.m = c.m, d.n = c.n, d.k = c.k;
  d.transpose_a = c.ta, d.transpose_b = c.tb;
  d.lda = (c.ta ? c.m : c.k) + c.pad;
  d.ldb = (c.tb ? c.k : c.n) + c.pad;
  d.ldc = c.n + c.pad;
  const auto a = random_floats((c.ta ? c.k : c.m) * d.lda, 1);
  const auto b = random_floats((c.tb ? c.n : c.k) * d.ldb, 2);
  const auto col = random_floats(c.n, 3);
  const auto row = random_floats(c.m, 4);
  const auto residual = random_floats(c.m * d.ldc, 5);
  if (e.col_bias) e.col_bias = col.data();
  if (e.row_bias) e.row_bias = row.data();
  const bool has_residual = e.residual != nullptr;
  e.ld_residual = d.ldc;
  Floats packed_b(gemm_packed_bytes(isa, c.k, c.n) / 4);
  gemm_pack(isa, c.k, c.n, b.data(), d.ldb, c.tb, packed_b.data());

  std::unique_ptr<Floats> first;
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    Floats y(c.m * d.ldc);
    if (in_place_residual) std::copy(residual.begin(), residual.end(), y.data());
    if (has_residual) e.residual = in_place_residual ? y.data() : residual.data();
    Floats scratch((packed ? gemm_packed_scratch_bytes(d, threads) : gemm_scratch_bytes(d, threads)) / 4);
    if (packed) {
      gemm_packed(d, a.data(), packed_b.data(), y.data(), e, scratch.data(), pool);
    } else {
      gemm(d, a.data(), b.data(), y.data(), e, scratch.data(), pool);
    }
    if (threads > 1) {
      EXPECT_TRUE(same_bits(*first, y));
      continue;
    }
    for (int64_t i = 0; i < c.m; ++i) {
      for (int64_t j = 0; j < c.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < c.k; ++k) {
          sum += static_cast<double>(c.ta ? a[static_cast<size_t>(k * d.lda + i)]
                                          : a[static_cast<size_t>(i * d.lda + k)]) *
                 (c.tb ? b[static_cast<size_t>(j * d.ldb + k)] : b[static_cast<size_t>(k * d.ldb + j)]);
        }
        const double want = finish_reference(e, sum, i, j, residual[static_cast<size_t>(i * d.ldc + j)]);
        ASSERT_TRUE(close(y[i * d.ldc + j], want, 1e-6 * (4 + static_cast<double>(c.k) / 16)))
            << i << ", " << j;
      }
      // What lies between the rows is not touched.
      for (int64_t j = c.n; j < d.ldc && !in_place_residual; ++j) ASSERT_TRUE(std::isnan(y[i * d.ldc + j]));
    }
    first = std::make_unique<Floats>(y.size());
    std::memcpy(first->data(), y.data(), static_cast<size_t>(y.size()) * 4);
  }
}

const float kSome = 0;  // marks an epilogue operand that check() fills in

TEST(Gemm, Shapes) {
  const std::vector<Case> cases = {{1, 1, 1},
                                   {1, 1, 0},
                                   {0, 5, 3},
                                   {5, 0, 3},
                                   {3, 4, 0},
                                   {2, 3, 5},
                                   {1, 64, 7},
                                   {1, 1000, 33},
                                   {6, 64, 16},
                                   {7, 65, 17},
                                   {13, 79, 31},
                                   {12, 32, 64},
                                   {23, 47, 129},
                                   {49, 100, 300},
                                   {64, 128, 48},
                                   {97, 193, 61},
                                   {241, 67, 1030},
                                   {31, 257, 800},
                                   {11, 16, 9},
                                   {19, 8, 1},
                                   {500, 3, 5},
                                   {5, 33, 5, true},
                                   {70, 40, 90, true, true},
                                   {5, 33, 5, false, true},
                                   {40, 70, 90, false, true, 3},
                                   {1, 50, 40, false, true},
                                   {2, 71, 133, false, true, 1},
                                   {3, 10, 0, false, true},
                                   {4, 65, 16, false, true},
                                   {9, 20, 30, true, false, 5},
                                   {14, 130, 20, false, false, 7},
                                   {3, 130, 20, false, false, 7}};
  for (Isa isa : supported_isas()) {
    for (const Case& c : cases) {
      for (bool packed : {true, false}) check(c, isa, packed, {});
    }
  }
}

TEST(Gemm, EveryRowCount) {
  for (Isa isa : supported_isas()) {
    for (int64_t m = 1; m <= 26; ++m) {
      for (int64_t n : {16, 32, 48, 64, 71}) check({m, n, 9}, isa, true, {});
    }
  }
}

TEST(Gemm, Epilogues) {
  for (Isa isa : supported_isas()) {
    for (Activation act : all_activations()) {
      for (int variant = 0; variant < 6; ++variant) {
        Epilogue e;
        e.act = act;
        if (act == Activation::clip) e.a = -0.5f, e.b = 0.7f;
        if (act == Activation::hard_sigmoid) e.a = 0.2f, e.b = 0.5f;
        if (act == Activation::leaky_relu) e.a = 0.1f;
        if (variant >= 1) e.col_bias = &kSome;
        if (variant >= 2) e.residual = &kSome, e.beta = variant == 2 ? 1.0f : 0.5f;
        if (variant == 3) e.row_bias = &kSome, e.alpha = 0.3f;
        if (variant >= 4) e.residual_after = true;
        for (const Case& c : {Case{7, 64, 20}, Case{13, 41, 20, false, false, 2}, Case{30, 70, 900}}) {
          check(c, isa, true, e, variant == 5);
        }
      }
    }
  }
}

void negate(void* context, float* y, int64_t row, int64_t col, int64_t n) {
  const int64_t columns = *static_cast<int64_t*>(context);
  for (int64_t j = 0; j < n; ++j) y[j] = -y[j] + static_cast<float>(row * columns + col + j);
}

TEST(Gemm, CallbackSeesEveryValueOnce) {
  for (Isa isa : supported_isas()) {
    int64_t n = 77;
    GemmDesc d{.isa = isa, .m = 25, .n = n, .k = 0};
    Epilogue e;
    const auto bias = random_floats(n, 9);
    e.col_bias = bias.data();
    e.callback = &negate;
    e.context = &n;
    ThreadPool pool(2);
    Floats y(d.m * n);
    Floats scratch(gemm_scratch_bytes(d, 2) / 4);
    gemm(d, nullptr, nullptr, y.data(), e, scratch.data(), pool);
    for (int64_t i = 0; i < d.m * n; ++i) {
      ASSERT_EQ(y[i], -bias[static_cast<size_t>(i % n)] + static_cast<float>(i));
    }
  }
}

TEST(Gemm, NanAndInfinityReachTheirRowOnly) {
  for (Isa isa : supported_isas()) {
    for (Activation act : all_activations()) {
      const int64_t m = 9, n = 70, k = 33;
      auto a = random_floats(m * k, 1);
      const auto b = random_floats(k * n, 2);
      a[4 * k + 7] = std::numeric_limits<float>::quiet_NaN();
      GemmDesc d{.isa = isa, .m = m, .n = n, .k = k};
      Epilogue e;
      e.act = act;
      e.a = 0.1f, e.b = 1.0f;
      ThreadPool pool(1);
      Floats y(m * n);
      Floats scratch(gemm_scratch_bytes(d, 1) / 4);
      gemm(d, a.data(), b.data(), y.data(), e, scratch.data(), pool);
      for (int64_t i = 0; i < m * n; ++i) ASSERT_EQ(std::isnan(y[i]), i / n == 4) << static_cast<int>(act);
    }
    const float inf = std::numeric_limits<float>::infinity();
    const float x[] = {inf, -inf, 100.0f, -100.0f, 0.0f, 1e30f, -1e30f, 20.0f, -20.0f};
    const float one = 1.0f;
    for (Activation act : all_activations()) {
      GemmDesc d{.isa = isa, .m = 9, .n = 1, .k = 1};
      Epilogue e;
      e.act = act;
      e.a = 0.1f, e.b = 1.0f;
      ThreadPool pool(1);
      Floats y(9);
      Floats scratch(gemm_scratch_bytes(d, 1) / 4);
      gemm(d, x, &one, y.data(), e, scratch.data(), pool);
      for (int64_t i = 0; i < 9; ++i) {
        // 0 * inf has no value: x times a gate that is 0 at -inf is NaN or 0 by the order of evaluation.
        if (x[i] == -inf && act != Activation::relu && std::isnan(activate_reference(e, x[i]))) continue;
        EXPECT_TRUE(close(y[i], activate_reference(e, x[i]), 1e-6))
            << "activation " << static_cast<int>(act) << " of " << x[i];
      }
    }
  }
}

TEST(Gemm, ActivationAccuracy) {
  for (Isa isa : supported_isas()) {
    std::vector<float> x;
    for (int i = -3000; i <= 3000; ++i) x.push_back(static_cast<float>(i) * 0.005f);
    const float one = 1.0f;
    for (Activation act : all_activations()) {
      const int64_t m = static_cast<int64_t>(x.size());
      GemmDesc d{.isa = isa, .m = m, .n = 1, .k = 1};
      Epilogue e;
      e.act = act;
      e.a = 0.1f, e.b = 1.0f;
      ThreadPool pool(1);
      Floats y(m);
      Floats scratch(gemm_scratch_bytes(d, 1) / 4);
      gemm(d, x.data(), &one, y.data(), e, scratch.data(), pool);
      for (int64_t i = 0; i < m; ++i) {
        const double want = activate_reference(e, x[static_cast<size_t>(i)]);
        const double size = std::fabs(x[static_cast<size_t>(i)]);
        // exp's argument is rounded, so its relative error grows with |x|; hard_swish rounds x / 6 + 0.5 near
        // its zero.
        double tolerance = std::fabs(want) * (4e-7 + 1.2e-7 * size) + 2.4e-9;
        if (act == Activation::hard_swish || act == Activation::hard_sigmoid) tolerance += 6e-8 * (1 + size);
        ASSERT_NEAR(y[i], want, tolerance) << static_cast<int>(act) << " of " << x[static_cast<size_t>(i)];
      }
    }
  }
}

TEST(Gemm, Batches) {
  for (Isa isa : supported_isas()) {
    for (bool tb : {false, true}) {
      for (bool shared_b : {false, true}) {
        for (int64_t m : {1, 3, 5, 20}) {
          const int64_t b0 = 3, b1 = 5, n = 35, k = 24;
          GemmDesc d{.isa = isa, .m = m, .n = n, .k = k, .transpose_b = tb, .batch_rank = 2};
          // A is [b0, m, b1, k]: heads interleaved; C is [b0, b1, m, n].
          d.lda = b1 * k;
          d.batch[0] = b0, d.batch[1] = b1;
          d.batch_a[0] = m * b1 * k, d.batch_a[1] = k;
          if (!shared_b) d.batch_b[0] = b1 * k * n, d.batch_b[1] = k * n;
          d.batch_c[0] = b1 * m * n, d.batch_c[1] = m * n;
          d.batch_residual[1] = m * n;
          const auto a = random_floats(b0 * b1 * m * k, 1);
          const auto b = random_floats(b0 * b1 * k * n, 2);
          const auto residual = random_floats(b1 * m * n, 3);
          Epilogue e;
          e.residual = residual.data();
          e.alpha = 0.25f;
          std::unique_ptr<Floats> first;
          for (int threads = 1; threads <= 3; ++threads) {
            ThreadPool pool(threads);
            Floats y(b0 * b1 * m * n);
            Floats scratch(gemm_scratch_bytes(d, threads) / 4);
            gemm(d, a.data(), b.data(), y.data(), e, scratch.data(), pool);
            if (first) {
              EXPECT_TRUE(same_bits(*first, y));
              continue;
            }
            for (int64_t i0 = 0; i0 < b0; ++i0) {
              for (int64_t i1 = 0; i1 < b1; ++i1) {
                const float* pa = a.data() + i0 * d.batch_a[0] + i1 * d.batch_a[1];
                const float* pb = b.data() + i0 * d.batch_b[0] + i1 * d.batch_b[1];
                for (int64_t i = 0; i < m * n; ++i) {
                  double sum = 0;
                  for (int64_t x = 0; x < k; ++x) {
                    sum += static_cast<double>(pa[i / n * d.lda + x]) *
                           (tb ? pb[i % n * k + x] : pb[x * n + i % n]);
                  }
                  const double want = 0.25 * sum + residual[static_cast<size_t>(i1 * m * n + i)];
                  ASSERT_TRUE(close(y[(i0 * b1 + i1) * m * n + i], want, 1e-5));
                }
              }
            }
            first = std::make_unique<Floats>(y.size());
            std::memcpy(first->data(), y.data(), static_cast<size_t>(y.size()) * 4);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tenon::cpu
