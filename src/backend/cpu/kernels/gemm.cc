// gemm: operands are brought to the form that the driver takes, then batch elements and tiles share the
// threads.
#include "backend/cpu/kernels/gemm.h"

#include <algorithm>

#include "backend/cpu/kernels/igemm.h"

namespace tenon::cpu {
namespace {

// Below this many rows B is read in place: packing it would cost more than it saves.
constexpr int64_t kPackRows = 13;

int64_t batch_count(const GemmDesc& d) {
  int64_t n = 1;
  for (int i = 0; i < d.batch_rank; ++i) n *= d.batch[i];
  return n;
}

int64_t batch_offset(const GemmDesc& d, const int64_t* strides, int64_t index) {
  int64_t offset = 0;
  for (int i = d.batch_rank - 1; i >= 0; --i) {
    offset += index % d.batch[i] * strides[i];
    index /= d.batch[i];
  }
  return offset;
}

bool repeats(const GemmDesc& d, const int64_t* strides) {
  for (int i = 0; i < d.batch_rank; ++i) {
    if (strides[i] != 0 && d.batch[i] > 1) return false;
  }
  return true;
}

GemmDesc with_strides(GemmDesc d) {
  if (d.lda == 0) d.lda = d.transpose_a ? d.m : d.k;
  if (d.ldb == 0) d.ldb = d.transpose_b ? d.k : d.n;
  if (d.ldc == 0) d.ldc = d.n;
  return d;
}

// What one call carries through the loop over the batch.
struct Call {
  GemmDesc d;
  const float* a;
  const float* b;
  float* c;
  Epilogue e;
  // Copies made in scratch; null where the operand is used as it is.
  const float* a_rows = nullptr;  // [batch or 1][m, k]
  int64_t a_step = 0;
  const float* b_packed = nullptr;  // [batch or 1][packed]
  int64_t b_step = 0;
  const float* b_last = nullptr;  // [batch or 1][k, last panel]
  int64_t b_last_step = 0;
};

void select_element(const void* context, int64_t i, Igemm* g) {
  const Call& call = *static_cast<const Call*>(context);
  const GemmDesc& d = call.d;
  if (call.a_rows) {
    g->a = call.a_rows + i * call.a_step;
    g->lda = d.k;
  } else {
    g->a = call.a + batch_offset(d, d.batch_a, i);
    g->lda = d.lda;
  }
  if (call.b_packed) {
    g->b = call.b_packed + i * call.b_step;
    g->b_stride = 0;
  } else {
    g->b = call.b + batch_offset(d, d.batch_b, i);
    g->b_stride = d.ldb;
    g->b_last = call.b_last + i * call.b_last_step;
  }
  g->c = call.c + batch_offset(d, d.batch_c, i);
  if (call.e.residual) g->e.residual = call.e.residual + batch_offset(d, d.batch_residual, i);
  g->row0 = i * d.m;
}

// Few rows against a B stored transposed: both are read along k as they lie.
bool by_dots(const GemmDesc& d, bool packed) {
  return !packed && d.transpose_b && !d.transpose_a && d.m <= kMaxDotRows;
}

void run_dots(const Call& call, const MicroTable& t, int64_t count, ThreadPool& pool) {
  const GemmDesc& d = call.d;
  const int64_t blocks = (d.n + kMaxNr - 1) / kMaxNr;
  pool.parallel_for(count * blocks, [&](int64_t task, int) {
    const int64_t item = task / blocks;
    const int64_t n0 = task % blocks * kMaxNr;
    alignas(64) float tile[kMaxDotRows * kMaxNr];
    DotArgs p;
    p.a = call.a + batch_offset(d, d.batch_a, item);
    p.lda = d.lda;
    p.b = call.b + batch_offset(d, d.batch_b, item) + n0 * d.ldb;
    p.ldb = d.ldb;
    p.rows = d.m, p.cols = std::min<int64_t>(kMaxNr, d.n - n0), p.k = d.k;
    p.out = tile;
    t.dot(p);
    FinishArgs f;
    f.src = tile;
    f.ld_src = kMaxNr;
    f.dst = call.c + batch_offset(d, d.batch_c, item) + n0;
    f.ld_dst = d.ldc;
    f.rows = d.m, f.cols = p.cols;
    f.e = call.e;
    if (f.e.col_bias) f.e.col_bias += n0;
    if (f.e.residual) f.e.residual += batch_offset(d, d.batch_residual, item) + n0;
    t.finish(f);
    for (int64_t i = 0; f.e.callback && i < d.m; ++i) {
      f.e.callback(f.e.context, f.dst + i * d.ldc, item * d.m + i, n0, p.cols);
    }
  });
}

// What scratch holds, in order.
struct Plan {
  bool pack_b = false;      // B is copied into panels
  bool per_worker = false;  // each worker packs the element that it works on
  int64_t a_copies = 0, b_copies = 0, last_copies = 0;
  int64_t a_floats = 0, b_floats = 0, last_floats = 0, igemm_bytes = 0;
  int64_t bytes = 0;
};

Plan make_plan(const GemmDesc& d, bool packed, int threads) {
  const MicroTable& t = micro_table(d.isa);
  Plan p;
  if (by_dots(d, packed)) return p;
  const int64_t count = batch_count(d);
  p.igemm_bytes = align64(igemm_scratch_bytes(d.isa, 1, 0, threads));
  if (!packed) {
    const bool one_b = repeats(d, d.batch_b);
    p.pack_b = d.transpose_b || d.m >= kPackRows;
    if (p.pack_b) {
      p.b_floats = align64(igemm_packed_floats(d.isa, d.k, d.n) * 4) / 4;
      p.per_worker = !one_b && !d.transpose_a && count >= 4 * threads;
      p.b_copies = p.per_worker ? threads : (one_b ? 1 : count);
    } else if (d.n % t.lanes != 0) {
      p.last_floats = align64(d.k * t.nr() * 4) / 4;
      p.last_copies = one_b ? 1 : count;
    }
  }
  if (d.transpose_a) {
    p.a_floats = align64(d.m * d.k * 4) / 4;
    p.a_copies = repeats(d, d.batch_a) ? 1 : count;
  }
  p.bytes =
      p.igemm_bytes + 4 * (p.a_copies * p.a_floats + p.b_copies * p.b_floats + p.last_copies * p.last_floats);
  return p;
}

void run(const GemmDesc& desc, const float* a, const float* b, const float* packed_b, float* c,
         const Epilogue& e, void* scratch, ThreadPool& pool) {
  const GemmDesc d = with_strides(desc);
  const int64_t count = batch_count(d);
  if (d.m <= 0 || d.n <= 0 || count <= 0) return;
  const MicroTable& t = micro_table(d.isa);
  const Plan plan = make_plan(d, packed_b != nullptr, pool.threads());
  Call call = {.d = d, .a = a, .b = b, .c = c, .e = e};
  if (call.e.ld_residual == 0) call.e.ld_residual = d.n;
  if (by_dots(d, packed_b != nullptr)) return run_dots(call, t, count, pool);
  float* memory = reinterpret_cast<float*>(static_cast<char*>(scratch) + plan.igemm_bytes);

  if (plan.a_copies) {
    call.a_rows = memory;
    call.a_step = plan.a_copies > 1 ? plan.a_floats : 0;
    constexpr int64_t kRows = 64;
    const int64_t blocks = (d.m + kRows - 1) / kRows;
    pool.parallel_for(plan.a_copies * blocks, [&](int64_t task, int) {
      const int64_t item = task / blocks;
      const int64_t m0 = task % blocks * kRows;
      const int64_t rows = std::min(kRows, d.m - m0);
      t.transpose(a + batch_offset(d, d.batch_a, item) + m0, d.lda, rows, d.k,
                  memory + item * plan.a_floats + m0 * d.k, d.k, d.k);
    });
    memory += plan.a_copies * plan.a_floats;
  }

  Igemm g;
  g.table = &t;
  g.m = d.m, g.n = d.n, g.depth = d.k;
  g.ldc = d.ldc;
  g.e = call.e;
  const int64_t row_step = d.transpose_b ? 1 : d.ldb;
  const int64_t col_step = d.transpose_b ? d.ldb : 1;
  const int64_t panels = (d.n + t.nr() - 1) / t.nr();

  if (packed_b) {
    call.b_packed = packed_b;
  } else if (plan.per_worker) {
    const int64_t worker_bytes = plan.igemm_bytes / pool.threads() / 64 * 64;
    pool.parallel_for(count, [&](int64_t i, int worker) {
      float* mine = memory + worker * plan.b_floats;
      const float* src = b + batch_offset(d, d.batch_b, i);
      for (int64_t p = 0; p < panels; ++p) {
        igemm_pack_panel(t, d.k, d.n, p, src, row_step, col_step, mine + p * t.nr() * d.k);
      }
      Call own = call;
      own.b_packed = mine;
      Igemm one = g;
      select_element(&own, i, &one);
      igemm_serial(one, static_cast<char*>(scratch) + worker * worker_bytes);
    });
    return;
  } else if (plan.pack_b) {
    call.b_packed = memory;
    call.b_step = plan.b_copies > 1 ? plan.b_floats : 0;
    pool.parallel_for(plan.b_copies * panels, [&](int64_t task, int) {
      const int64_t item = task / panels;
      const int64_t p = task % panels;
      igemm_pack_panel(t, d.k, d.n, p, b + batch_offset(d, d.batch_b, item), row_step, col_step,
                       memory + item * plan.b_floats + p * t.nr() * d.k);
    });
  } else if (plan.last_copies) {
    call.b_last = memory;
    call.b_last_step = plan.last_copies > 1 ? plan.last_floats : 0;
    for (int64_t i = 0; i < plan.last_copies; ++i) {
      igemm_pack_panel(t, d.k, d.n, panels - 1, b + batch_offset(d, d.batch_b, i), row_step, col_step,
                       memory + i * plan.last_floats);
    }
  }
  igemm(g, {count, &select_element, &call}, scratch, pool);
}

}  // namespace

int64_t gemm_packed_bytes(Isa isa, int64_t k, int64_t n) {
  return 4 * igemm_packed_floats(isa, k, n);
}

void gemm_pack(Isa isa, int64_t k, int64_t n, const float* b, int64_t ldb, bool transposed, float* packed) {
  const int64_t ld = ldb != 0 ? ldb : (transposed ? k : n);
  igemm_pack(isa, k, n, b, transposed ? 1 : ld, transposed ? ld : 1, packed);
}

int64_t gemm_packed_scratch_bytes(const GemmDesc& desc, int threads) {
  return make_plan(desc, true, threads).bytes;
}

int64_t gemm_scratch_bytes(const GemmDesc& desc, int threads) {
  return make_plan(desc, false, threads).bytes;
}

void gemm_packed(const GemmDesc& desc, const float* a, const float* packed_b, float* c,
                 const Epilogue& epilogue, void* scratch, ThreadPool& pool) {
  run(desc, a, nullptr, packed_b, c, epilogue, scratch, pool);
}

void gemm(const GemmDesc& desc, const float* a, const float* b, float* c, const Epilogue& epilogue,
          void* scratch, ThreadPool& pool) {
  run(desc, a, b, nullptr, c, epilogue, scratch, pool);
}

}  // namespace tenon::cpu
