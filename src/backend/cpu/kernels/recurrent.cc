// The walk over time: products by the driver under gemm, gates row by row. Rows of the batch and the two
// directions are independent, so threads take those whole; a single row leaves the threads to its products.
#include "backend/cpu/kernels/recurrent.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/igemm.h"
#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {
namespace {

// The input's part of the gates is kept for this many floats of steps at a time, so that it stays in the
// cache.
constexpr int64_t kChunkFloats = 256 * 1024;

// GRU's third gate multiplies r h, which is known after the first two only.
bool two_products(const RecurrentDesc& d) {
  return d.cell == Cell::gru && !d.linear_before_reset;
}

// Where the parts of one direction's packed weights begin, in floats.
struct Packing {
  int64_t r, r_hidden, floats;
  explicit Packing(const RecurrentDesc& d) {
    const int64_t rows = d.gates() * d.hidden, first = two_products(d) ? 2 * d.hidden : rows;
    const auto part = [&](int64_t k, int64_t n) { return align64(gemm_packed_bytes(d.isa, k, n)) / 4; };
    r = part(d.width, rows);
    r_hidden = r + part(d.hidden, first);
    floats = two_products(d) ? r_hidden + part(d.hidden, d.hidden) : r_hidden;
  }
};

// What scratch holds, in floats from its beginning, for each direction behind the packed weights and the
// workers'.
struct Layout {
  Packing packing;
  int64_t chunk;                                     // steps
  int64_t x, rec, h, c, scaled, bias, rb, floats;    // one direction's
  int64_t packed, directions, igemm, bytes, worker;  // worker: bytes

  Layout(const RecurrentDesc& d, bool is_packed, int threads) : packing(d) {
    const int64_t rows = d.gates() * d.hidden, states = d.batch * d.hidden;
    chunk = std::clamp<int64_t>(kChunkFloats / std::max<int64_t>(1, d.batch * rows), 1,
                                std::max<int64_t>(d.steps, 1));
    int64_t at = 0;
    const auto part = [&](int64_t n) {
      const int64_t from = at;
      at += align64(n * 4) / 4;
      return from;
    };
    x = part(chunk * d.batch * rows), rec = part(d.batch * rows);
    h = part(states), c = part(states), scaled = part(states), bias = part(rows), rb = part(d.hidden);
    floats = at;
    packed = 0;
    directions = is_packed ? 0 : d.directions * packing.floats;
    igemm = directions + d.directions * floats;
    worker = align64(igemm_scratch_bytes(d.isa, 1, 0, 1));
    GemmDesc largest;
    largest.isa = d.isa;
    bytes = igemm * 4 + std::max(worker * threads, align64(gemm_packed_scratch_bytes(largest, threads)));
  }
};

class Walk {
 public:
  Walk(const RecurrentDesc& d, const RecurrentArgs& a, void* scratch, ThreadPool& pool)
      : d_(d),
        a_(a),
        pool_(pool),
        layout_(d, a.packed != nullptr, pool.threads()),
        rows_(d.gates() * d.hidden),
        memory_(static_cast<float*>(scratch)) {
    if (!a.packed) recurrent_pack(d, a.w, a.r, memory_ + layout_.packed);
    packed_ = a.packed ? static_cast<const float*>(a.packed) : memory_ + layout_.packed;
    // Rows of a block meet every weight once a step: as few blocks as keep the threads busy.
    blocks_ = std::clamp<int64_t>((pool.threads() + d.directions - 1) / d.directions, 1, d.batch);
  }

  void run() {
    for (int64_t dir = 0; dir < d_.directions; ++dir) begin(dir);
    for (int64_t s0 = 0; s0 < d_.steps; s0 += layout_.chunk) {
      const int64_t steps = std::min(layout_.chunk, d_.steps - s0);
      for (int64_t dir = 0; dir < d_.directions; ++dir) project(dir, s0, steps);
      const int64_t tasks = d_.directions * blocks_;
      parallel_tasks(pool_, tasks, steps * d_.batch * rows_ * d_.hidden / (8 * blocks_),
                     [&](int64_t task, int worker) {
                       const int64_t b = task % blocks_;
                       const int64_t from = d_.batch * b / blocks_, to = d_.batch * (b + 1) / blocks_;
                       for (int64_t s = s0; s < s0 + steps; ++s)
                         step(task / blocks_, s, s - s0, steps, from, to, tasks == 1 ? -1 : worker);
                     });
    }
    for (int64_t dir = 0; dir < d_.directions; ++dir) end(dir);
  }

 private:
  float* part(int64_t dir, int64_t at) const {
    return memory_ + layout_.directions + dir * layout_.floats + at;
  }
  const float* weights(int64_t dir) const { return packed_ + dir * layout_.packing.floats; }
  bool backwards(int64_t dir) const { return dir == 1 || d_.reverse; }
  int64_t state(int64_t dir, int64_t b) const {
    return (d_.by_batch ? b * d_.directions + dir : dir * d_.batch + b) * d_.hidden;
  }

  // Initial states, and the biases that can be added to the input's part.
  void begin(int64_t dir) {
    const auto start = [&](const float* from, float* to) {
      for (int64_t b = 0; b < d_.batch; ++b, to += d_.hidden)
        if (from)
          std::memcpy(to, from + state(dir, b), size_t(d_.hidden) * 4);
        else
          std::fill_n(to, d_.hidden, 0.0f);
    };
    start(a_.h0, part(dir, layout_.h));
    start(a_.c0, part(dir, layout_.c));
    float *bias = part(dir, layout_.bias), *rb = part(dir, layout_.rb);
    const float* wb = a_.b ? a_.b + dir * 2 * rows_ : nullptr;
    const bool apart = d_.cell == Cell::gru && d_.linear_before_reset;
    for (int64_t i = 0; i < rows_; ++i)
      bias[i] = !wb ? 0 : apart && i >= 2 * d_.hidden ? wb[i] : wb[i] + wb[rows_ + i];
    for (int64_t i = 0; i < d_.hidden; ++i) rb[i] = wb && apart ? wb[rows_ + 2 * d_.hidden + i] : 0;
  }

  // W x of steps [s0, s0 + steps) in the order of the walk: [steps, batch, rows] by time, or [batch, steps,
  // rows].
  void project(int64_t dir, int64_t s0, int64_t steps) {
    const int64_t t0 = backwards(dir) ? d_.steps - s0 - steps : s0;
    GemmDesc g;
    g.isa = d_.isa;
    g.n = rows_, g.k = d_.width;
    const float* x = a_.x + t0 * (d_.by_batch ? 1 : d_.batch) * d_.width;
    if (d_.by_batch) {
      g.m = steps;
      g.batch_rank = 1;
      g.batch[0] = d_.batch, g.batch_a[0] = d_.steps * d_.width, g.batch_c[0] = steps * rows_;
    } else {
      g.m = steps * d_.batch;
    }
    Epilogue e;
    e.col_bias = part(dir, layout_.bias);
    gemm_packed(g, x, weights(dir), part(dir, layout_.x), e, memory_ + layout_.igemm, pool_);
  }

  // c = a * B for some rows; worker -1: on all threads.
  void multiply(const float* a, const float* b, int64_t m, int64_t n, float* c, int worker) {
    Igemm g;
    g.table = &micro_table(d_.isa);
    g.m = m, g.n = n, g.depth = d_.hidden;
    g.a = a, g.lda = d_.hidden, g.b = b;
    g.c = c, g.ldc = rows_;
    g.e.ld_residual = rows_;
    char* scratch = reinterpret_cast<char*>(memory_ + layout_.igemm);
    if (worker < 0)
      igemm(g, {}, scratch, pool_);
    else
      igemm_serial(g, scratch + worker * layout_.worker);
  }

  // Step `s` of the walk, the i-th of its chunk, for rows [from, to) of the batch.
  void step(int64_t dir, int64_t s, int64_t i, int64_t chunk, int64_t from, int64_t to, int worker) {
    const int64_t n = d_.hidden, t = backwards(dir) ? d_.steps - 1 - s : s,
                  at = backwards(dir) ? chunk - 1 - i : i;
    float *h = part(dir, layout_.h), *rec = part(dir, layout_.rec), *scaled = part(dir, layout_.scaled);
    const float* r = weights(dir) + layout_.packing.r;
    multiply(h + from * n, r, to - from, two_products(d_) ? 2 * n : rows_, rec + from * rows_, worker);
    const auto active = [&](int64_t b) { return !a_.lengths || t < a_.lengths[b]; };
    GateArgs g;
    g.n = n, g.act = d_.act[dir], g.clip = d_.clip, g.coupled = d_.input_forget;
    g.rb = part(dir, layout_.rb);
    g.p = a_.peepholes ? a_.peepholes + dir * 3 * n : nullptr;
    const auto gates = [&](void (*f)(const GateArgs&)) {
      for (int64_t b = from; b < to; ++b) {
        if (!active(b)) continue;
        g.x = part(dir, layout_.x) + (d_.by_batch ? b * chunk + at : at * d_.batch + b) * rows_;
        g.rec = rec + b * rows_, g.h = h + b * n, g.c = part(dir, layout_.c) + b * n,
        g.scaled = scaled + b * n;
        f(g);
      }
    };
    if (two_products(d_)) {
      gates(gru_reset_gates);
      multiply(scaled + from * n, weights(dir) + layout_.packing.r_hidden, to - from, n,
               rec + from * rows_ + 2 * n, worker);
      gates(gru_hidden_gates);
    } else {
      gates(d_.cell == Cell::lstm ? lstm_gates : d_.cell == Cell::gru ? gru_linear_gates : rnn_gates);
    }
    if (!a_.y) return;
    for (int64_t b = from; b < to; ++b) {
      float* y = a_.y + (d_.by_batch ? (b * d_.steps + t) * d_.directions + dir
                                     : (t * d_.directions + dir) * d_.batch + b) *
                            n;
      if (active(b))
        std::memcpy(y, h + b * n, size_t(n) * 4);
      else
        std::fill_n(y, n, 0.0f);
    }
  }

  void end(int64_t dir) {
    for (int64_t b = 0; b < d_.batch; ++b) {
      const auto give = [&](int64_t from, float* to) {
        if (to) std::memcpy(to + state(dir, b), part(dir, from) + b * d_.hidden, size_t(d_.hidden) * 4);
      };
      give(layout_.h, a_.y_h);
      give(layout_.c, a_.y_c);
    }
  }

  const RecurrentDesc& d_;
  const RecurrentArgs& a_;
  ThreadPool& pool_;
  const Layout layout_;
  const int64_t rows_;
  float* const memory_;
  const float* packed_ = nullptr;
  int64_t blocks_ = 1;
};

}  // namespace

int64_t recurrent_packed_bytes(const RecurrentDesc& d) {
  return d.directions * Packing(d).floats * 4;
}

void recurrent_pack(const RecurrentDesc& d, const float* w, const float* r, void* packed) {
  const Packing p(d);
  const int64_t rows = d.gates() * d.hidden, first = two_products(d) ? 2 * d.hidden : rows;
  std::memset(packed, 0, size_t(recurrent_packed_bytes(d)));
  for (int64_t dir = 0; dir < d.directions; ++dir) {
    float* out = static_cast<float*>(packed) + dir * p.floats;
    const float* recurrent = r + dir * rows * d.hidden;
    gemm_pack(d.isa, d.width, rows, w + dir * rows * d.width, 0, true, out);
    gemm_pack(d.isa, d.hidden, first, recurrent, 0, true, out + p.r);
    if (two_products(d))
      gemm_pack(d.isa, d.hidden, d.hidden, recurrent + first * d.hidden, 0, true, out + p.r_hidden);
  }
}

int64_t recurrent_scratch_bytes(const RecurrentDesc& d, bool packed, int threads) {
  return Layout(d, packed, threads).bytes;
}

Status recurrent(const RecurrentDesc& d, const RecurrentArgs& a, void* scratch, ThreadPool& pool) {
  if (d.batch == 0 || d.hidden == 0) return {};
  for (int64_t b = 0; a.lengths && b < d.batch; ++b)
    if (a.lengths[b] < 0 || a.lengths[b] > d.steps)
      return invalid_argument("sequence length ", a.lengths[b], " is out of range [0, ", d.steps, "]");
  Walk(d, a, scratch, pool).run();
  return {};
}

}  // namespace tenon::cpu
