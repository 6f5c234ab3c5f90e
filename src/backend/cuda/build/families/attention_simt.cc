// Attention of float32 on CUDA cores: 16 lanes share four queries; scores go through shared memory to become the left operand of
// the product with the values.
#include <algorithm>

#include "backend/cuda/build/families/attention.h"

namespace tenon::cuda {

namespace {

struct SimtTile : AttentionTile {
  int dp = 64, vp = 64, vw = 4;  // head sizes rounded up; neighbours of a row of values that a thread has
  int64_t shared() const { return 4 * (int64_t(bm) * (dp + 4) + int64_t(bn) * (dp + 4 + vp) + int64_t(bm) * (bn + 4)); }
};

SimtTile choose_tile(const AttentionProblem& p) {
  SimtTile t;
  t.vw = p.v_head <= 16 ? 1 : p.v_head <= 32 ? 2 : 4;
  t.dp = (p.head + 3) / 4 * 4, t.vp = (p.v_head + 16 * t.vw - 1) / (16 * t.vw) * 16 * t.vw;
  const int wide = std::max(t.dp, t.vp);
  t.bm = wide <= 128 ? 64 : 32;
  t.bn = wide <= 64 ? 64 : wide <= 128 ? 32 : 16;
  t.threads = t.bm * 4;
  return t;
}

}  // namespace

static const char kTile[] = R"({
copy_async_wait<0>();
__syncthreads();
load_rows<BN, V_HEAD, VP, VP, V_VEC, THREADS>(v_tile, v, V_ROW, tile * BN, keys);
copy_async_commit();
float s[4][BN / 16] = {};
UNROLL
for (int d = 0; d < DP; d += 4) {
Vec<float, 4> a[4], c[BN / 16];
UNROLL
for (int i = 0; i < 4; ++i) a[i] = load_vec<4>(q_tile + (ty * 4 + i) * PITCH + d);
UNROLL
for (int j = 0; j < BN / 16; ++j) c[j] = load_vec<4>(k_tile + (tx + 16 * j) * PITCH + d);
UNROLL
for (int i = 0; i < 4; ++i) {
UNROLL
for (int j = 0; j < BN / 16; ++j) {
UNROLL
for (int e = 0; e < 4; ++e) s[i][j] += a[i].v[e] * c[j].v[e];
}
}
}
copy_async_wait<0>();
__syncthreads();
if (tile + 1 < tile_end) load_rows<BN, HEAD, DP, PITCH, K_VEC, THREADS>(k_tile, k, K_ROW, (tile + 1) * BN, keys);
copy_async_commit();
UNROLL
for (int i = 0; i < 4; ++i) {
const int row = min(row0 + ty * 4 + i, QUERIES - 1);
UNROLL
for (int j = 0; j < BN / 16; ++j) {
const int key = tile * BN + tx + 16 * j;
s[i][j] = sees(row, key) ? $SCORED : -INFINITE;
}
$SOFTMAX UNROLL
for (int j = 0; j < VP / 16; ++j) o[i][j] *= fade;
UNROLL
for (int j = 0; j < BN / 16; ++j) p_tile[(ty * 4 + i) * (BN + 4) + tx + 16 * j] = s[i][j];
}
warp_sync();
UNROLL
for (int n = 0; n < BN; n += 4) {
Vec<float, 4> p[4];
UNROLL
for (int i = 0; i < 4; ++i) p[i] = load_vec<4>(p_tile + (ty * 4 + i) * (BN + 4) + n);
UNROLL
for (int e = 0; e < 4; ++e) {
UNROLL
for (int j = 0; j < VP / 16 / VW; ++j) {
const Vec<float, VW> w = load_vec<VW>(v_tile + (n + e) * VP + (tx + 16 * j) * VW);
UNROLL
for (int i = 0; i < 4; ++i) {
UNROLL
for (int c = 0; c < VW; ++c) o[i][j * VW + c] += p[i].v[e] * w.v[c];
}
}
}
}
warp_sync();
}
)";

Status write_attention_simt(const AttentionProblem& p, const Chip& chip, Program& out) {
  const SimtTile t = choose_tile(p);
  if (t.shared() > chip.shared_per_block) return unsupported("heads of size ", std::max(p.head, p.v_head), " need more shared memory than ", chip.name, " has");
  KernelWriter k("attention", t.threads);
  k.body = attention_frame(k, p, t, "float");
  Holes h{{"DP", cat(t.dp)}, {"VP", cat(t.vp)}, {"VW", cat(t.vw)}, {"HEAD", cat(p.head)}, {"VHEAD", cat(p.v_head)},
          {"QVEC", cat(row_vector(p, p.q, p.head))}, {"KVEC", cat(row_vector(p, p.k, p.head))}, {"VVEC", cat(row_vector(p, p.v, p.v_head))}};
  h["SCORED"] = p.mask < 0 ? "score(s[i][j])" : "score(s[i][j], *mask_of(row, key))";
  h["SOFTMAX"] = softmax_step(p, {{"TOP", "top[i]"}, {"SUM", "sum[i]"}, {"COUNT", "BN / 16"}, {"SCORE", "s[i][j]"}, {"REDUCE", "16"}});
  k.body += fill(R"(constexpr int HEAD = $HEAD, V_HEAD = $VHEAD, DP = $DP, VP = $VP, VW = $VW, PITCH = DP + 4;
constexpr int Q_VEC = $QVEC, K_VEC = $KVEC, V_VEC = $VVEC;
const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
float* const q_tile = reinterpret_cast<float*>(dynamic_shared());
float *const k_tile = q_tile + BM * PITCH, *const v_tile = k_tile + BN * PITCH, *const p_tile = v_tile + BN * VP;
load_rows<BM, HEAD, DP, PITCH, Q_VEC, THREADS>(q_tile, q, Q_ROW, row0, QUERIES);
if (tile_begin < tile_end) load_rows<BN, HEAD, DP, PITCH, K_VEC, THREADS>(k_tile, k, K_ROW, tile_begin * BN, keys);
copy_async_commit();
float o[4][VP / 16] = {}, top[4], sum[4] = {};
UNROLL
for (int i = 0; i < 4; ++i) top[i] = -INFINITE;
#pragma unroll 1
for (int tile = tile_begin; tile < tile_end; ++tile) )", h);
  k.body += fill(kTile, h);
  k.body += R"(copy_async_wait<0>();
UNROLL
for (int i = 0; i < 4; ++i) {
const float all = reduce_lanes<16>(sum[i], Sum()), inverse = 1.f / all;
const int row = row0 + ty * 4 + i;
if (row >= QUERIES) continue;
UNROLL
for (int j = 0; j < VP / 16; ++j) {
const int c = (tx + j / VW * 16) * VW + j % VW;
if (c < V_HEAD) y[row * Y_ROW + c] = all == 0.f ? 0.f : o[i][j] * inverse;
}
}
)";
  out.variant = cat("attention.simt.", t.bm, "x", t.bn);
  out.source = cat(kAttentionHelpers, k.text());
  out.recipe.launches = {attention_launch(k, p, t, t.shared())};
  return {};
}

}  // namespace tenon::cuda
