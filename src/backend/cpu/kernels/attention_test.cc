#include "backend/cpu/kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "backend/cpu/kernels/test_util.h"

namespace tenon::cpu {
namespace {

// A problem with its operands, which lie as rows of q, k and v side by side unless `by_head`.
struct Problem {
  AttentionDesc d;
  std::vector<float> q, k, v, mask;
  std::vector<uint8_t> keeps;
  std::vector<int64_t> valid;

  AttentionArgs args(float* y) const {
    AttentionArgs a;
    a.q = q.data(), a.k = k.data(), a.v = v.data(), a.y = y;
    if (d.mask == AttentionMask::added) a.mask = mask.data();
    if (d.mask == AttentionMask::boolean) a.mask = keeps.data();
    if (!valid.empty()) a.valid = valid.data();
    return a;
  }
};

struct Sizes {
  int64_t batch, heads, kv_heads, q_len, kv_len, head, v_head;
};

Problem make(const Sizes& s, bool by_head = false) {
  Problem p;
  AttentionDesc& d = p.d;
  d.batch = s.batch, d.heads = s.heads, d.kv_heads = s.kv_heads, d.q_len = s.q_len, d.kv_len = s.kv_len,
  d.head = s.head, d.v_head = s.v_head;
  d.scale = s.head ? float(1 / std::sqrt(double(s.head))) : 1;
  const auto layout = [&](int64_t heads, int64_t len, int64_t size) {
    return by_head ? HeadLayout{heads * len * size, len * size, size}
                   : HeadLayout{len * heads * size, size, heads * size};
  };
  d.q = layout(s.heads, s.q_len, s.head), d.k = layout(s.kv_heads, s.kv_len, s.head),
  d.v = layout(s.kv_heads, s.kv_len, s.v_head);
  d.y = layout(s.heads, s.q_len, s.v_head);
  p.q = random_floats(s.batch * s.heads * s.q_len * s.head, 1);
  p.k = random_floats(s.batch * s.kv_heads * s.kv_len * s.head, 2);
  p.v = random_floats(s.batch * s.kv_heads * s.kv_len * s.v_head, 3);
  for (float& x : p.q) x *= 4;
  return p;
}

// Elements of [batch or 1, heads or 1, queries or 1, keys].
void set_mask(Problem& p, AttentionMask kind, bool batch, bool heads, bool queries, int64_t len = -1) {
  AttentionDesc& d = p.d;
  d.mask = kind;
  d.mask_len = len < 0 ? d.kv_len : len;
  const int64_t sizes[] = {batch ? d.batch : 1, heads ? d.heads : 1, queries ? d.q_len : 1};
  int64_t all = d.mask_len;
  for (int i = 2; i >= 0; --i) {
    d.mask_strides[i] = sizes[i] > 1 ? all : 0;
    all *= sizes[i];
  }
  p.mask = random_floats(all, 5);
  p.keeps.resize(size_t(all));
  for (int64_t i = 0; i < all; ++i) {
    p.keeps[size_t(i)] = i % 3 != 1;
    if (i % 5 == 2) p.mask[size_t(i)] = -INFINITY;
  }
}

std::vector<double> expected(const Problem& p) {
  const AttentionDesc& d = p.d;
  std::vector<double> y(size_t(d.batch * d.heads * d.q_len * d.v_head));
  for (int64_t b = 0; b < d.batch; ++b)
    for (int64_t h = 0; h < d.heads; ++h)
      for (int64_t i = 0; i < d.q_len; ++i) {
        const int64_t g = h / (d.heads / d.kv_heads), valid = p.valid.empty() ? d.kv_len : p.valid[size_t(b)];
        const int64_t at = i + (p.valid.empty() ? d.past : valid - d.q_len);
        std::vector<double> row(size_t(d.kv_len), -INFINITY);
        std::vector<bool> seen(size_t(d.kv_len), false);
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < valid; ++j) {
          if ((d.causal && j > at) || (d.left >= 0 && at - j > d.left) || (d.right >= 0 && j - at > d.right))
            continue;
          double x = 0;
          for (int64_t c = 0; c < d.head; ++c)
            x += double(p.q[size_t(b * d.q.batch + h * d.q.head + i * d.q.row + c)]) *
                 double(p.k[size_t(b * d.k.batch + g * d.k.head + j * d.k.row + c)]);
          x *= double(d.scale);
          if (d.softcap > 0) x = double(d.softcap) * std::tanh(x / double(d.softcap));
          if (d.mask != AttentionMask::none) {
            const auto m = size_t(b * d.mask_strides[0] + h * d.mask_strides[1] + i * d.mask_strides[2] + j);
            if (j >= d.mask_len || (d.mask == AttentionMask::boolean ? !p.keeps[m] : p.mask[m] == -INFINITY))
              continue;
            if (d.mask == AttentionMask::added) x += double(p.mask[m]);
          }
          seen[size_t(j)] = true;
          row[size_t(j)] = x;
          if (x > top || std::isnan(x)) top = x;
        }
        if (top == -INFINITY) continue;
        for (double& x : row) sum += x = std::exp(x - top);
        double* out = y.data() + b * d.y.batch + h * d.y.head + i * d.y.row;
        for (int64_t j = 0; j < d.kv_len; ++j)
          for (int64_t c = 0; c < d.v_head && seen[size_t(j)]; ++c)
            out[c] +=
                row[size_t(j)] / sum * double(p.v[size_t(b * d.v.batch + g * d.v.head + j * d.v.row + c)]);
      }
  return y;
}

void check(Problem p, const std::string& what = "") {
  const std::vector<double> want = expected(p);
  for (Isa isa : supported_isas()) {
    p.d.isa = isa;
    std::vector<float> first;
    for (int threads : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message()
                   << what << " " << isa_name(isa) << " " << threads << " threads, " << p.d.batch << "x"
                   << p.d.heads << "/" << p.d.kv_heads << "x" << p.d.q_len << "x" << p.d.kv_len << "x"
                   << p.d.head << "/" << p.d.v_head);
      ThreadPool pool(threads);
      Floats scratch(attention_scratch_bytes(p.d, threads) / 4);
      Floats y(int64_t(want.size()));
      attention(p.d, p.args(y.data()), scratch.data(), pool);
      for (size_t i = 0; i < want.size(); ++i) ASSERT_TRUE(close(y[int64_t(i)], want[i], 4e-6)) << "at " << i;
      const std::vector<float> got(y.data(), y.data() + want.size());
      if (threads == 1) first = got;
      ASSERT_TRUE(got.empty() || std::memcmp(got.data(), first.data(), got.size() * 4) == 0)
          << "not the same bits";
    }
  }
}

TEST(CpuAttention, Sizes) {
  for (bool by_head : {false, true})
    for (const Sizes& s :
         {Sizes{1, 1, 1, 1, 1, 1, 1}, Sizes{2, 3, 3, 5, 7, 8, 8}, Sizes{1, 2, 2, 97, 131, 64, 64},
          Sizes{1, 1, 1, 64, 256, 32, 32}, Sizes{3, 4, 2, 13, 300, 33, 17}, Sizes{1, 2, 1, 129, 49, 20, 70},
          Sizes{1, 1, 1, 20, 600, 40, 130}, Sizes{9, 2, 2, 14, 30, 16, 24}})
      check(make(s, by_head));
}

TEST(CpuAttention, FewRows) {
  for (const Sizes& s : {Sizes{1, 2, 2, 1, 7, 8, 8}, Sizes{2, 6, 2, 1, 517, 64, 64},
                         Sizes{2, 6, 2, 3, 65, 33, 17}, Sizes{1, 1, 1, 12, 100, 5, 70}})
    check(make(s));
}

TEST(CpuAttention, NothingThere) {
  for (const Sizes& s : {Sizes{0, 2, 2, 3, 4, 8, 8}, Sizes{1, 2, 2, 0, 4, 8, 8}, Sizes{1, 2, 2, 3, 0, 8, 8},
                         Sizes{1, 2, 2, 30, 0, 8, 8}, Sizes{1, 2, 2, 30, 5, 0, 8}, Sizes{1, 2, 2, 3, 5, 0, 8},
                         Sizes{1, 2, 2, 3, 4, 8, 0}})
    check(make(s));
}

TEST(CpuAttention, Masks) {
  for (AttentionMask kind : {AttentionMask::added, AttentionMask::boolean})
    for (int which = 0; which < 8; ++which)
      for (const Sizes& s : {Sizes{2, 4, 2, 30, 301, 16, 16}, Sizes{2, 2, 2, 3, 49, 16, 16}}) {
        Problem p = make(s);
        set_mask(p, kind, which & 1, which & 2, which & 4);
        check(p, "mask");
        if (which != 7) continue;
        set_mask(p, kind, true, true, true, s.kv_len - 17);
        p.d.softcap = 2;
        check(p, "short mask, softcap");
      }
}

TEST(CpuAttention, WhatARowSees) {
  for (int64_t q_len : {1, 5, 130}) {
    for (int64_t past : {0, 3, 290}) {
      for (const auto& [left, right] : {std::pair<int64_t, int64_t>{-1, -1},
                                        {-1, 2},
                                        {7, -1},
                                        {0, 0},
                                        {INT64_MAX, INT64_MAX},
                                        {270, 3}}) {
        Problem p = make({2, 2, 1, q_len, 310, 16, 16});
        p.d.past = past, p.d.left = left, p.d.right = right;
        check(p, "window");
        p.d.causal = true;
        check(p, "causal window");
        p.valid = {100, 310};
        check(p, "lengths");
      }
    }
  }
  Problem p = make({3, 2, 2, 20, 40, 16, 16});
  p.d.causal = true;
  p.valid = {0, 7, 40};  // fewer keys than queries
  check(p, "lengths");
}

TEST(CpuAttention, RowsThatSeeNothing) {
  Problem p = make({1, 1, 1, 20, 300, 16, 16});
  set_mask(p, AttentionMask::added, false, false, true);
  for (int64_t i = 0; i < 300; ++i) p.mask[size_t(4 * 300 + i)] = -INFINITY;
  for (int64_t i = 0; i < 270; ++i) p.mask[size_t(5 * 300 + i)] = -INFINITY;  // nothing of the first block
  for (int64_t i = 30; i < 300; ++i) p.mask[size_t(6 * 300 + i)] = -INFINITY;
  for (int64_t i = 0; i < 300; ++i) p.mask[size_t(7 * 300 + i)] = -3.4028235e38f;  // all alike
  check(p);
}

TEST(CpuAttention, NoNumbers) {
  for (float bad : {NAN, INFINITY, -INFINITY})
    for (int64_t q_len : {3, 20}) {
      Problem p = make({1, 2, 2, q_len, 300, 16, 16});
      p.k[size_t(280 * 32 + 3)] = bad;
      check(p, "key");
      set_mask(p, AttentionMask::added, false, false, false);
      p.mask[280] = -INFINITY;  // shut out, whatever it is
      check(p, "shut key");
      p = make({1, 2, 2, q_len, 300, 16, 16});
      p.q[35] = bad;
      check(p, "query");
      p = make({1, 2, 2, q_len, 300, 16, 16});
      p.v[size_t(270 * 32 + 3)] = bad;
      check(p, "value");
      p.d.causal = true;
      p.d.past = 269 - q_len + 2;  // the last query sees it
      check(p, "value that some see");
      set_mask(p, AttentionMask::boolean, false, false, true);
      check(p, "value that few see");
    }
}

TEST(CpuAttention, LargeScores) {
  Problem p = make({1, 1, 1, 20, 300, 16, 16});
  p.d.scale = 500;
  check(p);
}

TEST(CpuAttention, JoinsHeads) {
  const std::vector<float> past = random_floats(2 * 3 * 4 * 5, 1), fresh = random_floats(2 * 7 * 3 * 5, 2);
  ThreadPool pool(2);
  std::vector<float> out(2 * 3 * 11 * 5);
  join_heads(pool, 2, 3, 5, past.data(), 4, fresh.data(), {7 * 15, 5, 15}, 7, out.data());
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t i = 0; i < 11; ++i)
        for (int64_t c = 0; c < 5; ++c)
          EXPECT_EQ(out[size_t(((b * 3 + h) * 11 + i) * 5 + c)],
                    i < 4 ? past[size_t(((b * 3 + h) * 4 + i) * 5 + c)]
                          : fresh[size_t((b * 7 + i - 4) * 15 + h * 5 + c)]);
}

}  // namespace
}  // namespace tenon::cpu
