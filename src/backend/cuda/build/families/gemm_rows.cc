// Products with a few rows: limited by reading B once, so a warp (or SPLITS of them) takes one column, a chunk of k for
// each lane.
#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

Status write_rows(const Product& p, const Tile& t, Program& out) {
  GemmFrame f(p, t);
  KernelWriter& k = f.k;
  const int chunk = 128 / bits(p.type), run = std::max(1, run_length(p.b, chunk));
  const bool whole = run_length(p.a, chunk) >= run;  // A's rows can be read in the same vectors
  const bool half = bits(p.type) == 16;
  const auto number = [&](const char* e) { return cat(half ? "to_float(" : "Acc(", e, ")"); };
  const Holes holes{{"ROWS", k.size(p.m)}, {"RUN", cat(run)}, {"K", k.size(p.k)}, {"A", f.a}, {"B", f.b}, {"LDA", k.size(p.a.ld)},
                    {"LDB", k.size(p.b.ld)}, {"X", number("x.v[e]")}, {"W", number("w.v[e]")},
                    {"READ", whole ? "const Vec<T, V> x = load_vec<V>(a_row + k);\n"
                                   : "Vec<T, V> x;\nUNROLL\nfor (int e = 0; e < V; ++e) {\nx.v[e] = T{};\nif (k + e < K) x.v[e] = a_row[k + e];\n}\n"}};
  k.body = f.constants() + TRY(f.position()) + fill(R"(constexpr int ROWS = $ROWS, V = $RUN;
const int lane = tid % 32, warp = tid / 32, part = warp % SPLITS, column = col0 + warp / SPLITS, K = $K;
const T* const b_row = $B + b_batch + (Index)(column < N ? column : 0) * $LDB;
Acc sums[ROWS] = {};
PDL_WAIT;
PDL_LAUNCH;
#pragma unroll 4
for (int k = (part * 32 + lane) * V; k < K; k += SPLITS * 32 * V) {
const Vec<T, V> w = load_vec<V>(b_row + k);
UNROLL
for (int m = 0; m < ROWS; ++m) {
const T* const a_row = $A + a_batch + (Index)m * $LDA;
$READ UNROLL
for (int e = 0; e < V; ++e) sums[m] += $X * $W;
}
}
UNROLL
for (int m = 0; m < ROWS; ++m) sums[m] = reduce_warp(sums[m], Sum());
)", holes);
  if (t.splits > 1)
    k.body += R"(__shared__ Acc parts[THREADS / 32][ROWS];
if (lane == 0) {
UNROLL
for (int m = 0; m < ROWS; ++m) parts[warp][m] = sums[m];
}
__syncthreads();
UNROLL
for (int m = 0; m < ROWS; ++m) {
sums[m] = parts[warp - part][m];
UNROLL
for (int s = 1; s < SPLITS; ++s) sums[m] += parts[warp - part + s][m];
}
)";
  k.body += cat("if (lane == 0 && part == 0 && column < N) {\nUNROLL\nfor (int row = 0; row < ROWS; ++row) {\nconst Acc c[1] = {sums[row]};\n",
                TRY(f.finish()).text(), "}\n}\n");
  out.source += k.text();
  out.recipe.launches.push_back(k.launch({ceil_div(p.n, t.bn) * product(p.batch)}, {t.threads()}));
  return {};
}

}  // namespace tenon::cuda
