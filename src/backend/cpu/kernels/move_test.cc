#include "backend/cpu/kernels/move.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon::cpu {
namespace {

std::vector<unsigned char> noise(size_t n) {
  std::vector<unsigned char> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<unsigned char>((i * 2654435761u) >> 13);
  return x;
}

// Slices with steps, expansion, concatenation: all are strides.
TEST(Copy, Strides) {
  struct Case {
    Shape shape, in, out;
    int64_t in_size, out_size, in_at;
  };
  for (int bytes : {1, 2, 4, 8, 16})
    for (auto& c : std::initializer_list<Case>{{{3, 4}, {4, 1}, {4, 1}, 12, 12, 0},
                                               {{3, 4}, {20, 2}, {4, 1}, 60, 12, 1},
                                               {{3, 4}, {-4, -1}, {4, 1}, 12, 12, 11},
                                               {{5, 3, 4}, {0, 4, 1}, {12, 4, 1}, 12, 60, 0},
                                               {{5, 3, 4}, {3, 1, 0}, {12, 4, 1}, 15, 60, 0},
                                               {{6, 5}, {5, 1}, {17, 1}, 30, 102, 0},
                                               {{2, 3, 4, 5}, {60, 20, 5, 1}, {240, 80, 10, 2}, 120, 480, 0},
                                               {{200000}, {1}, {1}, 200000, 200000, 0},
                                               {{300, 400}, {1, 300}, {400, 1}, 120000, 120000, 0},
                                               {{}, {}, {}, 1, 1, 0},
                                               {{0, 3}, {3, 1}, {3, 1}, 1, 1, 0}}) {
      auto x = noise(size_t(c.in_size * bytes)), want = noise(size_t(c.out_size * bytes)), got = want;
      const int64_t n = num_elements(c.shape);
      for (int64_t i = 0; i < n; ++i) {
        int64_t rest = i, from = c.in_at, to = 0;
        for (size_t d = c.shape.size(); d-- > 0; rest /= c.shape[d]) from += rest % c.shape[d] * c.in[d], to += rest % c.shape[d] * c.out[d];
        std::memcpy(&want[size_t(to * bytes)], &x[size_t(from * bytes)], size_t(bytes));
      }
      auto plan = CopyPlan::make(bytes, c.shape, c.in, c.out);
      ASSERT_TRUE(plan.ok());
      ThreadPool pool(3);
      plan.value().run(pool, x.data() + c.in_at * bytes, got.data());
      ASSERT_EQ(got, want);
    }
}

TEST(Pad, Modes) {
  for (PadMode mode : {PadMode::constant, PadMode::edge, PadMode::reflect, PadMode::wrap})
    for (int bytes : {1, 4, 8})
      for (auto& [shape, begin, end] : std::initializer_list<std::array<Shape, 3>>{
               {{{5}, {2}, {3}}}, {{{3, 4}, {1, 2}, {0, 1}}}, {{{2, 3, 4, 5}, {0, 0, 1, 1}, {0, 0, 2, 2}}}, {{{2, 4, 4, 3}, {0, 1, 1, 0}, {0, 1, 1, 0}}},
               {{{4, 6}, {-1, -2}, {2, -1}}}, {{{4, 6}, {2, 0}, {-3, 0}}}, {{{}, {}, {}}}, {{{3, 2}, {5, 7}, {4, 6}}}, {{{0, 2}, {1, 1}, {1, 1}}}}) {
        bool crops = false;
        for (size_t d = 0; d < shape.size(); ++d) crops |= begin[d] < 0 || end[d] < 0 || shape[d] == 0;
        if (crops && mode != PadMode::constant) continue;
        auto x = noise(size_t(num_elements(shape) * bytes));
        Shape out;
        for (size_t d = 0; d < shape.size(); ++d) out.push_back(begin[d] + shape[d] + end[d]);
        const int64_t n = num_elements(out);
        std::vector<unsigned char> want(size_t(n * bytes)), got(want.size(), 1);
        const unsigned char value[8] = {9, 8, 7, 6, 5, 4, 3, 2};
        const Shape strides = row_major_strides(shape);
        for (int64_t i = 0; i < n; ++i) {
          int64_t rest = i, from = 0;
          bool fill = false;
          for (size_t d = out.size(); d-- > 0; rest /= out[d]) {
            int64_t at = rest % out[d] - begin[d];
            const int64_t size = shape[d];
            if (mode == PadMode::edge) at = std::min(std::max<int64_t>(at, 0), size - 1);
            while (mode == PadMode::wrap && (at < 0 || at >= size)) at += at < 0 ? size : -size;
            while (mode == PadMode::reflect && size > 1 && (at < 0 || at >= size)) at = at < 0 ? -at : 2 * (size - 1) - at;
            fill |= at < 0 || at >= size;
            from += at * strides[d];
          }
          std::memcpy(&want[size_t(i * bytes)], fill ? value : &x[size_t(from * bytes)], size_t(bytes));
        }
        auto plan = PadPlan::make(mode, bytes, shape, begin, end);
        ASSERT_TRUE(plan.ok());
        ThreadPool pool(2);
        plan.value().run(pool, x.data(), value, got.data());
        ASSERT_EQ(got, want) << int(mode) << " bytes " << bytes << " rank " << shape.size();
      }
}

TEST(Gather, Rows) {
  for (int bytes : {1, 2, 4, 8})
    for (int64_t inner : {1, 3, 64}) {
      const int64_t outer = 2, axis = 50, count = 700;
      auto x = noise(size_t(outer * axis * inner * bytes));
      std::vector<int64_t> wide;
      std::vector<int32_t> narrow;
      for (int64_t i = 0; i < count; ++i) wide.push_back(i * 37 % 100 - 50), narrow.push_back(int32_t(wide.back()));
      std::vector<unsigned char> want(size_t(outer * count * inner * bytes)), got(want.size());
      for (int64_t o = 0; o < outer; ++o)
        for (int64_t i = 0; i < count; ++i)
          std::memcpy(&want[size_t((o * count + i) * inner * bytes)], &x[size_t((o * axis + (wide[size_t(i)] + axis) % axis) * inner * bytes)], size_t(inner * bytes));
      ThreadPool pool(2);
      GatherDesc k{bytes, DType::i64, outer, axis, inner, count};
      ASSERT_TRUE(gather(pool, k, x.data(), wide.data(), got.data()).ok());
      ASSERT_EQ(got, want);
      std::fill(got.begin(), got.end(), 0);
      k.index_type = DType::i32;
      ASSERT_TRUE(gather(pool, k, x.data(), narrow.data(), got.data()).ok());
      ASSERT_EQ(got, want);
      wide[3] = 50;
      k.index_type = DType::i64;
      EXPECT_FALSE(gather(pool, k, x.data(), wide.data(), got.data()).ok());
    }
}

}  // namespace
}  // namespace tenon::cpu
