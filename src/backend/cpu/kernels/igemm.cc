// Blocking, row pointers and the choice of epilogue for the micro-kernels.
#include "backend/cpu/kernels/igemm.h"

#include <algorithm>
#include <cstring>

namespace tenon::cpu {
namespace {

constexpr int64_t kBlockRows = 240;          // rows of a task; bounds the partial sums
constexpr int64_t kBlockFloats = 96 * 1024;  // of B that a task reuses: 384 KB of L2
constexpr int64_t kBlockDepth = 512;         // k per pass when k is split
constexpr int64_t kWholeDepth = 768;         // k up to this is not split
constexpr int64_t kBlockPanels = 4;          // most panels of a task whose k is split

int64_t div_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

int panel_vectors(const MicroTable& t, int64_t n, int64_t panel) {
  const int64_t width = std::min<int64_t>(t.nr(), n - panel * t.nr());
  return static_cast<int>(div_up(width, t.lanes));
}

struct Blocking {
  int64_t k = 0;       // depth of a pass, in whole taps or parts of one tap
  int64_t panels = 1;  // panels of a task
  int64_t rows = 1;    // rows of a task
  bool split = false;  // more than one pass over k
};

Blocking choose_blocking(const Igemm& g, int64_t items, int threads) {
  const MicroTable& t = *g.table;
  Blocking b;
  const int64_t k = g.taps * g.depth;
  const int mr = t.mr[panel_vectors(t, g.n, 0)];
  const int64_t panels = div_up(g.n, t.nr());
  b.split = g.m > mr && k > kWholeDepth && g.n > 0;
  b.k = b.split ? kBlockDepth : INT64_MAX;
  b.panels = std::clamp<int64_t>(kBlockFloats / (std::max<int64_t>(1, std::min(b.k, k)) * t.nr()), 1, panels);
  if (b.split) b.panels = std::min(b.panels, kBlockPanels);
  b.rows = std::min(g.m, kBlockRows / mr * mr);
  if (threads > 1) {
    // Enough tasks to even out the threads, as long as each is worth its start (about 20 us).
    const int64_t want = 4 * threads;
    auto tasks = [&] { return items * div_up(g.m, b.rows) * div_up(panels, b.panels); };
    auto work = [&] { return b.rows * b.panels * t.nr() * k; };
    while (tasks() < want && work() > 1000000) {
      if (b.rows > 4 * mr && (b.rows > 8 * mr || b.panels == 1)) {
        b.rows = div_up(div_up(b.rows, 2), mr) * mr;
      } else if (b.panels > 1) {
        b.panels = div_up(b.panels, 2);
      } else if (b.rows > mr) {
        b.rows = div_up(div_up(b.rows, 2), mr) * mr;
      } else {
        break;
      }
    }
  }
  return b;
}

bool in_registers(Activation a) {
  return a == Activation::none || a == Activation::relu || a == Activation::clip;
}

// Output row of row i, and with it its place in C and in the residual.
int64_t output_row(const Igemm& g, int64_t i) {
  return g.inner > 0 ? (i / g.inner) * g.outer_step + (i % g.inner) * g.inner_step : i;
}

struct Worker {
  const float** rows;  // [taps][kMaxMr]
  float* partial;      // [kBlockRows][kBlockPanels * kMaxNr]
  float* tile;         // [kMaxMr][kMaxNr]
  float* patch;
};

int64_t partial_floats(const MicroTable& t) {
  return kBlockRows * kBlockPanels * t.nr();
}

int64_t worker_bytes(const MicroTable& t, int64_t taps, int64_t patch_floats) {
  const int64_t fixed = partial_floats(t) + kMaxMr * kMaxNr;
  return align64(fixed * 4) + align64(std::max<int64_t>(taps, 1) * kMaxMr * 8) + align64(patch_floats * 4);
}

Worker worker_memory(const MicroTable& t, int64_t taps, void* memory) {
  Worker w;
  char* p = static_cast<char*>(memory);
  w.partial = reinterpret_cast<float*>(p);
  w.tile = w.partial + partial_floats(t);
  p += align64((partial_floats(t) + kMaxMr * kMaxNr) * 4);
  w.rows = reinterpret_cast<const float**>(p);
  p += align64(std::max<int64_t>(taps, 1) * kMaxMr * 8);
  w.patch = reinterpret_cast<float*>(p);
  return w;
}

class Task {
 public:
  Task(const Igemm& g, const Worker& w) : g_(g), t_(*g.table), w_(w) {
    fast_ = in_registers(g.e.act) && !g.e.callback;
    args_.alpha = g.e.alpha;
    args_.beta = g.e.beta;
    args_.residual_after = g.e.residual_after;
    args_.clamp_lo = g.e.act == Activation::clip || g.e.act == Activation::relu;
    args_.clamp_hi = g.e.act == Activation::clip;
    args_.lo = g.e.act == Activation::clip ? g.e.a : 0.0f;
    args_.hi = g.e.b;
    args_.ld_residual = g.e.ld_residual * step();
  }

  // Rows [m0, m1) by panels [p0, p1), all of k in passes of `k_block`.
  void run(int64_t m0, int64_t m1, int64_t p0, int64_t p1, int64_t k_block) {
    m0_ = m0, p0_ = p0;
    ld_partial_ = (p1 - p0) * t_.nr();
    const int mr_max = t_.mr[panel_vectors(t_, g_.n, p0)];
    const bool part_of_tap = g_.depth > k_block;
    const int64_t pieces = part_of_tap ? div_up(g_.depth, k_block) : 1;
    const int64_t piece = part_of_tap ? div_up(div_up(g_.depth, pieces), 16) * 16 : g_.depth;
    const int64_t taps =
        part_of_tap || g_.depth == 0 ? (part_of_tap ? 1 : g_.taps) : std::max<int64_t>(1, k_block / g_.depth);
    int64_t t0 = 0;
    bool first = true;
    do {
      const int64_t nt = std::min(taps, g_.taps - t0);
      int64_t d0 = 0;
      do {
        const int64_t nd = std::min(piece, g_.depth - d0);
        last_ = t0 + nt >= g_.taps && d0 + nd >= g_.depth;
        first_ = first;
        first = false;
        pass(m0, m1, p0, p1, mr_max, t0, nt, d0, nd);
        d0 += nd;
      } while (d0 < g_.depth);
      t0 += nt;
    } while (t0 < g_.taps);
  }

 private:
  int64_t step() const { return g_.inner > 0 ? g_.inner_step : 1; }

  void pass(int64_t m0, int64_t m1, int64_t p0, int64_t p1, int mr_max, int64_t t0, int64_t nt, int64_t d0,
            int64_t nd) {
    args_.a = w_.rows;
    args_.a_offset = d0;
    args_.taps = nt;
    args_.depth = nd;
    int64_t m = m0;
    while (m < m1) {
      // A tile stays within one run of evenly spaced output rows; the rows of a run are dealt out evenly.
      int64_t end = m1;
      if (g_.inner > 0) end = std::min(m1, (m / g_.inner + 1) * g_.inner);
      int64_t tiles = div_up(end - m, mr_max);
      for (; tiles > 0; --tiles) {
        const int mr = static_cast<int>(div_up(end - m, tiles));
        if (g_.rows) {
          g_.rows(g_, m, mr, t0, nt, w_.rows, w_.patch);
        } else {
          for (int i = 0; i < mr; ++i) w_.rows[i] = g_.a + (m + i) * g_.lda;
        }
        for (int64_t p = p0; p < p1; ++p) tile(m, mr, p, t0 * g_.depth + d0);
        m += mr;
      }
    }
  }

  void tile(int64_t m, int mr, int64_t p, int64_t k0) {
    const int64_t n0 = p * t_.nr();
    const int64_t width = std::min<int64_t>(t_.nr(), g_.n - n0);
    const int nv = static_cast<int>(div_up(width, t_.lanes));
    const bool whole = width == nv * t_.lanes;
    if (g_.b_stride == 0) {
      args_.b_stride = nv * t_.lanes;
      args_.b = g_.b + n0 * g_.taps * g_.depth + k0 * args_.b_stride;
    } else if (whole) {
      args_.b_stride = g_.b_stride;
      args_.b = g_.b + n0 + k0 * args_.b_stride;
    } else {
      args_.b_stride = nv * t_.lanes;
      args_.b = g_.b_last + k0 * args_.b_stride;
    }
    float* partial = w_.partial + (m - m0_) * ld_partial_ + (p - p0_) * t_.nr();
    const float* col_bias = g_.e.col_bias ? g_.e.col_bias + n0 : nullptr;
    // Where it costs nothing, sums start from the bias.
    const bool bias_first = fast_ && whole && col_bias && g_.e.alpha == 1.0f;
    args_.start = !first_ ? partial : bias_first ? col_bias : kZeroRow;
    args_.ld_start = first_ ? 0 : ld_partial_;
    if (!last_) {
      args_.finish = false;
      args_.c = partial;
      args_.ldc = ld_partial_;
      t_.fn[nv][mr](args_);
      return;
    }
    const int64_t row = output_row(g_, m);
    float* c = g_.c + row * g_.ldc + n0;
    const float* residual = g_.e.residual ? g_.e.residual + row * g_.e.ld_residual + n0 : nullptr;
    // With an uneven output, row_bias is indexed by the row of the product, as everywhere.
    const float* row_bias = g_.e.row_bias ? g_.e.row_bias + m : nullptr;
    if (fast_ && whole) {
      args_.finish = true;
      args_.c = c;
      args_.ldc = g_.ldc * step();
      args_.col_bias = bias_first ? nullptr : col_bias;
      args_.row_bias = row_bias;
      args_.residual = residual;
      t_.fn[nv][mr](args_);
      return;
    }
    args_.finish = false;
    args_.c = w_.tile;
    args_.ldc = kMaxNr;
    t_.fn[nv][mr](args_);
    FinishArgs f;
    f.src = w_.tile;
    f.ld_src = kMaxNr;
    f.dst = c;
    f.ld_dst = g_.ldc * step();
    f.rows = mr;
    f.cols = width;
    f.e = g_.e;
    f.e.col_bias = col_bias;
    f.e.row_bias = row_bias;
    f.e.residual = residual;
    f.e.ld_residual = g_.e.ld_residual * step();
    t_.finish(f);
    if (g_.e.callback) {
      for (int i = 0; i < mr; ++i) {
        g_.e.callback(g_.e.context, c + i * f.ld_dst, g_.row0 + row + i * step(), g_.col0 + n0, width);
      }
    }
  }

  const Igemm& g_;
  const MicroTable& t_;
  const Worker w_;
  MicroArgs args_ = {};
  bool fast_ = false, first_ = true, last_ = true;
  int64_t m0_ = 0, p0_ = 0, ld_partial_ = 0;
};

}  // namespace

int64_t igemm_packed_floats(Isa isa, int64_t k, int64_t n) {
  const MicroTable& t = micro_table(isa);
  return k * div_up(n, t.lanes) * t.lanes;
}

void igemm_pack_panel(const MicroTable& t, int64_t k, int64_t n, int64_t panel, const float* b,
                      int64_t row_step, int64_t col_step, float* out) {
  if (k == 0) return;  // there may be no `b` to point into
  const int64_t n0 = panel * t.nr();
  const int64_t cols = std::min<int64_t>(t.nr(), n - n0);
  const int64_t width = div_up(cols, t.lanes) * t.lanes;
  const float* src = b + n0 * col_step;
  if (col_step == 1) {
    for (int64_t i = 0; i < k; ++i) {
      std::memcpy(out + i * width, src + i * row_step, static_cast<size_t>(cols) * 4);
      for (int64_t j = cols; j < width; ++j) out[i * width + j] = 0.0f;
    }
  } else if (row_step == 1) {
    t.transpose(src, col_step, k, cols, out, width, width);
  } else {
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < cols; ++j) out[i * width + j] = src[i * row_step + j * col_step];
      for (int64_t j = cols; j < width; ++j) out[i * width + j] = 0.0f;
    }
  }
}

void igemm_pack(Isa isa, int64_t k, int64_t n, const float* b, int64_t row_step, int64_t col_step,
                float* out) {
  const MicroTable& t = micro_table(isa);
  for (int64_t p = 0; p * t.nr() < n; ++p) {
    igemm_pack_panel(t, k, n, p, b, row_step, col_step, out + p * t.nr() * k);
  }
}

int64_t igemm_scratch_bytes(Isa isa, int64_t taps, int64_t patch_floats, int threads) {
  return worker_bytes(micro_table(isa), taps, patch_floats) * threads;
}

void igemm(const Igemm& g, const IgemmItems& items, void* scratch, ThreadPool& pool) {
  if (g.m <= 0 || g.n <= 0 || items.count <= 0) return;
  const MicroTable& t = *g.table;
  const Blocking b = choose_blocking(g, items.count, pool.threads());
  const int64_t panels = div_up(g.n, t.nr());
  const int64_t m_tasks = div_up(g.m, b.rows);
  const int64_t n_tasks = div_up(panels, b.panels);
  const int64_t bytes = worker_bytes(t, g.taps, g.patch_floats);
  // Rows run fastest, so that one block of B serves consecutive tasks.
  pool.parallel_for(items.count * n_tasks * m_tasks, [&](int64_t task, int worker) {
    const int64_t mi = task % m_tasks;
    const int64_t ni = task / m_tasks % n_tasks;
    const int64_t item = task / (m_tasks * n_tasks);
    Igemm one = g;
    if (items.select) items.select(items.context, item, &one);
    Task run(one, worker_memory(t, g.taps, static_cast<char*>(scratch) + bytes * worker));
    run.run(mi * b.rows, std::min(g.m, (mi + 1) * b.rows), ni * b.panels,
            std::min(panels, (ni + 1) * b.panels), b.k);
  });
}

void igemm_serial(const Igemm& g, void* scratch) {
  if (g.m <= 0 || g.n <= 0) return;
  const MicroTable& t = *g.table;
  const Blocking b = choose_blocking(g, 1, 1);
  const int64_t panels = div_up(g.n, t.nr());
  Task run(g, worker_memory(t, g.taps, scratch));
  for (int64_t p = 0; p < panels; p += b.panels) {
    for (int64_t m = 0; m < g.m; m += b.rows) {
      run.run(m, std::min(g.m, m + b.rows), p, std::min(panels, p + b.panels), b.k);
    }
  }
}

}  // namespace tenon::cpu
