// The blocks of attention and who computes them. Rows of a block are queries of all heads that share a head
// of keys; keys and values of such a head are packed once for all its blocks, or read in place where there
// are few rows.
#include "backend/cpu/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/kernels/attention_rows.h"
#include "backend/cpu/kernels/igemm.h"
#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {
namespace {

constexpr int64_t kBlockRows = 64;   // at most; queries and scores of a block stay in the first caches
constexpr int64_t kBlockKeys = 256;  // a multiple of every panel's width
constexpr int64_t kPackRows = 13;    // below, packing costs more than it saves

int64_t div_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
int64_t round_to(int64_t n, int64_t to) {
  return div_up(n, to) * to;
}

// Sizes that follow from the description, and how scratch is cut.
struct Plan {
  int64_t group = 1;              // heads that share one of keys
  int64_t shared = 0;             // heads of keys, over the batch
  int64_t rows = 0;               // that one of them serves
  int64_t blocks = 0, block = 0;  // of rows
  bool packed = false;
  bool per_worker = false;  // a worker packs the head that it works on
  int64_t ld_scores = 0, width = 0;
  int64_t q_floats = 0, score_floats = 0, result_floats = 0, last_floats = 0;
  int64_t k_floats = 0, v_floats = 0;
  int64_t worker_floats = 0, bytes = 0;
};

Plan make_plan(const AttentionDesc& d, int threads) {
  const MicroTable& t = micro_table(d.isa);
  Plan p;
  if (d.kv_heads < 1) return p;
  p.group = d.heads / d.kv_heads;
  p.shared = d.batch * d.kv_heads;
  p.rows = p.group * d.q_len;
  if (p.rows < 1 || p.shared < 1) return p;
  p.blocks = div_up(p.rows, kBlockRows);
  p.block = div_up(p.rows, p.blocks);
  p.packed = p.rows >= kPackRows;
  p.per_worker = p.packed && (threads == 1 || p.shared >= 4 * threads);
  p.ld_scores = round_to(std::min(kBlockKeys, std::max<int64_t>(d.kv_len, 1)), t.lanes);
  p.width = round_to(std::max<int64_t>(d.v_head, 1), t.lanes);
  p.q_floats = round_to(p.block * d.head, 16);
  p.score_floats = round_to(p.block * p.ld_scores, 16);
  p.result_floats = round_to(p.block * p.width, 16);
  p.last_floats = p.packed || d.v_head % t.lanes == 0 ? 0 : kBlockKeys * t.nr();
  if (p.packed) {
    p.k_floats = round_to(igemm_packed_floats(d.isa, d.head, d.kv_len), 16);
    p.v_floats = round_to(igemm_packed_floats(d.isa, d.kv_len, d.v_head), 16);
  }
  const int64_t copy = p.k_floats + p.v_floats;
  p.worker_floats = p.q_floats + p.score_floats + p.result_floats + p.last_floats + (p.per_worker ? copy : 0);
  p.bytes = 4 * (threads * p.worker_floats + (p.per_worker ? 0 : p.shared * copy));
  return p;
}

// Rows of A by columns of one panel of B; sums go on from c where `more`.
void multiply(const MicroTable& t, const float* a, int64_t lda, int64_t rows, int64_t depth, const float* b,
              int64_t b_stride, int nv, bool more, float* c, int64_t ldc) {
  MicroArgs args = {};
  const float* pointers[kMaxMr];
  args.a = pointers;
  args.taps = 1, args.depth = depth;
  args.b = b, args.b_stride = b_stride;
  args.ldc = ldc;
  int64_t row = 0;
  for (int64_t tiles = div_up(rows, t.mr[nv]); tiles > 0; --tiles) {
    const int64_t count = div_up(rows - row, tiles);
    for (int64_t i = 0; i < count; ++i) pointers[i] = a + (row + i) * lda;
    args.c = c + row * ldc;
    args.start = more ? args.c : kZeroRow;
    args.ld_start = more ? ldc : 0;
    t.fn[nv][count](args);
    row += count;
  }
}

class Run {
 public:
  Run(const AttentionDesc& d, const AttentionArgs& x, void* scratch, ThreadPool& pool)
      : d_(d),
        x_(x),
        plan_(make_plan(d, pool.threads())),
        t_(micro_table(d.isa)),
        functions_(attention_rows(d.isa)),
        scratch_(static_cast<float*>(scratch)),
        pool_(pool) {}

  void all() {
    if (plan_.rows < 1 || plan_.shared < 1 || d_.v_head < 1) return;
    if (plan_.per_worker) {
      pool_.parallel_for(plan_.shared, [&](int64_t head, int worker) {
        float* copy = memory(worker) + plan_.worker_floats - plan_.k_floats - plan_.v_floats;
        pack_keys(head, copy);
        pack_values(head, copy + plan_.k_floats);
        for (int64_t i = 0; i < plan_.blocks; ++i) block(head, i, copy, memory(worker));
      });
      return;
    }
    float* const copies = memory(pool_.threads());
    const int64_t step = plan_.k_floats + plan_.v_floats;
    if (plan_.packed) {
      pool_.parallel_for(2 * plan_.shared, [&](int64_t i, int) {
        if (i % 2)
          pack_values(i / 2, copies + i / 2 * step + plan_.k_floats);
        else
          pack_keys(i / 2, copies + i / 2 * step);
      });
    }
    pool_.parallel_for(plan_.shared * plan_.blocks, [&](int64_t task, int worker) {
      const int64_t head = task / plan_.blocks;
      block(head, task % plan_.blocks, plan_.packed ? copies + head * step : nullptr, memory(worker));
    });
  }

 private:
  float* memory(int worker) const { return scratch_ + worker * plan_.worker_floats; }
  // Without keys there is no memory, and no place in it.
  const float* keys_of(int64_t head) const {
    return !x_.k ? nullptr : x_.k + head / d_.kv_heads * d_.k.batch + head % d_.kv_heads * d_.k.head;
  }
  const float* values_of(int64_t head) const {
    return !x_.v ? nullptr : x_.v + head / d_.kv_heads * d_.v.batch + head % d_.kv_heads * d_.v.head;
  }

  void pack_keys(int64_t head, float* to) const {
    igemm_pack(d_.isa, d_.head, d_.kv_len, keys_of(head), 1, d_.k.row, to);
  }
  void pack_values(int64_t head, float* to) const {
    igemm_pack(d_.isa, d_.kv_len, d_.v_head, values_of(head), d_.v.row, 1, to);
  }

  // A row of a block: which query it is and what it sees.
  struct Row {
    int64_t h, i, begin, end;
    float top, sum;
  };

  void find_rows(int64_t head, int64_t first, int64_t count, Row* rows) const {
    const int64_t b = head / d_.kv_heads, all = x_.valid ? x_.valid[b] : d_.kv_len;
    const int64_t keys = d_.mask == AttentionMask::none ? all : std::min(all, d_.mask_len);
    const int64_t shift = x_.valid ? all - d_.q_len : d_.past;
    const int64_t right = d_.causal ? 0 : d_.right;
    for (int64_t r = 0; r < count; ++r) {
      Row& row = rows[r];
      row.h = head % d_.kv_heads * plan_.group + (first + r) / d_.q_len;
      row.i = (first + r) % d_.q_len;
      const int64_t position = row.i + shift;
      row.end = right < 0
                    ? keys
                    : std::clamp<int64_t>(position + 1 + std::min(right, d_.kv_len + d_.q_len), 0, keys);
      row.begin = d_.left < 0 ? 0
                              : std::clamp<int64_t>(
                                    position - std::min(d_.left, d_.kv_len + d_.q_len + d_.past), 0, row.end);
      row.top = -HUGE_VALF, row.sum = 0;
    }
  }

  void block(int64_t head, int64_t index, const float* copy, float* memory) const {
    const int64_t first = index * plan_.block, count = std::min(plan_.block, plan_.rows - first),
                  b = head / d_.kv_heads;
    if (count < 1) return;
    float *const q = memory, *const scores = q + plan_.q_floats, *const result = scores + plan_.score_floats,
                 *const last = result + plan_.result_floats;
    Row rows[kBlockRows];
    find_rows(head, first, count, rows);
    int64_t begin = d_.kv_len, end = 0;
    for (int64_t r = 0; r < count; ++r) {
      const Row& row = rows[r];
      functions_.scale(x_.q + b * d_.q.batch + row.h * d_.q.head + row.i * d_.q.row, d_.head, d_.scale,
                       q + r * d_.head);
      if (row.begin < row.end) begin = std::min(begin, row.begin), end = std::max(end, row.end);
    }
    bool more = false;
    for (int64_t k0 = begin / kBlockKeys * kBlockKeys; k0 < end; k0 += kBlockKeys) {
      const int64_t n = std::min(kBlockKeys, end - k0);
      if (copy)
        score_packed(copy, k0, n, q, count, scores);
      else
        score_in_place(keys_of(head) + k0 * d_.k.row, n, q, count, scores);
      for (int64_t r = 0; r < count; ++r)
        step(rows[r], b, k0, n, scores + r * plan_.ld_scores, more ? result + r * plan_.width : nullptr);
      for (int64_t c = 0; c < d_.v_head; c += t_.nr()) {
        const int64_t width = std::min<int64_t>(t_.nr(), d_.v_head - c), whole = round_to(width, t_.lanes);
        const float* values =
            copy ? copy + plan_.k_floats + c * d_.kv_len + k0 * whole : values_of(head) + k0 * d_.v.row + c;
        int64_t stride = copy ? whole : d_.v.row;
        if (!copy && width != whole) {
          igemm_pack_panel(t_, n, d_.v_head, c / t_.nr(), values_of(head) + k0 * d_.v.row, d_.v.row, 1, last);
          values = last, stride = whole;
        }
        multiply(t_, scores, plan_.ld_scores, count, n, values, stride, int(whole / t_.lanes), more,
                 result + c, plan_.width);
      }
      more = true;
    }
    for (int64_t r = 0; r < count; ++r) {
      const Row& row = rows[r];
      float* y = x_.y + b * d_.y.batch + row.h * d_.y.head + row.i * d_.y.row;
      if (row.sum == 0) {
        std::memset(y, 0, size_t(d_.v_head) * 4);
      } else if (functions_.scale(result + r * plan_.width, d_.v_head, 1 / row.sum, y) &&
                 !std::isnan(row.sum)) {
        careful_row(head, row, q + r * d_.head, scores, result + r * plan_.width, y);
      }
    }
  }

  // A value that is no number counts only where its key is not shut out; products of blocks multiply it by 0
  // there.
  void careful_row(int64_t head, Row row, const float* q, float* scores, float* result, float* y) const {
    std::fill_n(result, plan_.width, 0.0f);
    row.sum = 0;  // the top stays, and with it all exponentials
    for (int64_t k0 = row.begin / kBlockKeys * kBlockKeys; k0 < row.end; k0 += kBlockKeys) {
      const int64_t n = std::min(kBlockKeys, row.end - k0);
      score_in_place(keys_of(head) + k0 * d_.k.row, n, q, 1, scores);
      step(row, head / d_.kv_heads, k0, n, scores, result);
      for (int64_t j = 0; j < n; ++j) {
        const float* v = values_of(head) + (k0 + j) * d_.v.row;
        for (int64_t c = 0; c < d_.v_head && scores[j] != 0; ++c) result[c] += scores[j] * v[c];
      }
    }
    functions_.scale(result, d_.v_head, 1 / row.sum, y);
  }

  void score_packed(const float* keys, int64_t k0, int64_t n, const float* q, int64_t count,
                    float* scores) const {
    for (int64_t j = 0; j < n; j += t_.nr()) {
      const int64_t stride = round_to(std::min<int64_t>(t_.nr(), d_.kv_len - k0 - j), t_.lanes);
      const int nv = int(div_up(std::min<int64_t>(t_.nr(), n - j), t_.lanes));
      multiply(t_, q, d_.head, count, d_.head, keys + (k0 + j) * d_.head, stride, nv, false, scores + j,
               plan_.ld_scores);
    }
  }

  void score_in_place(const float* keys, int64_t n, const float* q, int64_t count, float* scores) const {
    alignas(64) float tile[kMaxDotRows * kMaxNr];
    for (int64_t r = 0; r < count; r += kMaxDotRows) {
      for (int64_t j = 0; j < n; j += kMaxNr) {
        DotArgs p;
        p.a = q + r * d_.head, p.lda = d_.head;
        p.b = keys + j * d_.k.row, p.ldb = d_.k.row;
        p.rows = std::min<int64_t>(kMaxDotRows, count - r), p.cols = std::min<int64_t>(kMaxNr, n - j),
        p.k = d_.head;
        p.out = tile;
        t_.dot(p);
        for (int64_t i = 0; i < p.rows; ++i)
          std::memcpy(scores + (r + i) * plan_.ld_scores + j, tile + i * kMaxNr, size_t(p.cols) * 4);
      }
    }
  }

  void step(Row& row, int64_t b, int64_t k0, int64_t n, float* scores, float* result) const {
    SoftmaxStep s;
    s.scores = scores;
    s.n = n;
    s.begin = std::clamp<int64_t>(row.begin - k0, 0, n), s.end = std::clamp<int64_t>(row.end - k0, 0, n);
    s.kind = d_.mask;
    s.softcap = d_.softcap;
    const int64_t at = b * d_.mask_strides[0] + row.h * d_.mask_strides[1] + row.i * d_.mask_strides[2] + k0;
    if (d_.mask == AttentionMask::added) s.mask = static_cast<const float*>(x_.mask) + at;
    if (d_.mask == AttentionMask::boolean) s.mask = static_cast<const uint8_t*>(x_.mask) + at;
    s.top = &row.top, s.sum = &row.sum;
    s.result = result;
    s.width = plan_.width;
    functions_.step(s);
  }

  const AttentionDesc& d_;
  const AttentionArgs& x_;
  const Plan plan_;
  const MicroTable& t_;
  const AttentionRows& functions_;
  float* const scratch_;
  ThreadPool& pool_;
};

}  // namespace

int64_t attention_scratch_bytes(const AttentionDesc& desc, int threads) {
  return make_plan(desc, threads).bytes;
}

void attention(const AttentionDesc& desc, const AttentionArgs& args, void* scratch, ThreadPool& pool) {
  Run(desc, args, scratch, pool).all();
}

void join_heads(ThreadPool& pool, int64_t batch, int64_t heads, int64_t size, const float* past,
                int64_t past_len, const float* fresh, const HeadLayout& layout, int64_t len, float* to) {
  parallel_tasks(pool, batch * heads, (past_len + len) * size, [&](int64_t head, int) {
    float* out = to + head * (past_len + len) * size;
    if (past_len * size > 0) std::memcpy(out, past + head * past_len * size, size_t(past_len * size) * 4);
    const float* from = fresh + head / heads * layout.batch + head % heads * layout.head;
    for (int64_t i = 0; i < len && size > 0; ++i)
      std::memcpy(out + (past_len + i) * size, from + i * layout.row, size_t(size) * 4);
  });
}

}  // namespace tenon::cpu
