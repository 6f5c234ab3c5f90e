// Attention on tensor cores with mma.sync in f16, bf16 or tf32 (after Dao, FlashAttention-2): a warp has 16 or 32 queries, whose scores and results
// stay in registers; the scores of a tile of keys are, as they lie there, the left operand of the product with its values. Keys
// and values come by cp.async, each while the other is worked on. Rows in shared memory have an odd number of 16 bytes,
// so that ldmatrix meets no bank twice.
#include <algorithm>

#include "backend/cuda/build/families/attention.h"

namespace tenon::cuda {

namespace {

struct MmaTile : AttentionTile {
  int m = 2;  // of 16 queries a warp
  bool hold = false;  // the queries stay in registers
  int bytes = 2, chunk = 8;  // of an element; elements of 16 bytes
  int dp = 64, vp = 64;  // head sizes rounded up
  int q_pitch() const { return dp + chunk; }
  int v_pitch() const { return vp + chunk; }
  // Results leave through the queries' place.
  int q_elements() const { return bm * std::max(q_pitch(), v_pitch()); }
  int64_t shared() const { return bytes * (int64_t(q_elements()) + int64_t(bn) * (q_pitch() + v_pitch())); }
};

// Registers that a thread needs, by what was seen of the compiler.
int registers(const AttentionProblem& p, const MmaTile& t) {
  const int addresses = p.mask < 0 ? 40 : p.mask_len.is_const() ? 55 : 90;
  return t.m * (t.vp + t.bn) / 2 + (t.hold ? t.m * t.dp * t.bytes / 8 : 4 * t.m) + addresses + (p.ranged() ? 10 : 0);
}

// The own choice first.
std::vector<MmaTile> choose_tiles(const AttentionProblem& p, const Chip& chip) {
  // 32 queries a warp read shared memory half as often, but need registers for them; more warps hide more.
  constexpr int kShapes[][3] = {{2, 4, 64}, {2, 4, 32}, {1, 4, 64}, {1, 8, 64}, {1, 4, 32}, {1, 8, 32}, {1, 4, 128}, {1, 8, 128}};
  const auto size = [&](const Dim& d) {
    const auto n = d.eval([&](const std::string& symbol) {
      const auto it = p.likely.find(symbol);
      return it == p.likely.end() ? std::nullopt : std::optional(it->second);
    });
    return n ? *n : int64_t(1) << 20;  // whoever does not say has many
  };
  const int64_t rows = size(p.q_len), keys = size(p.kv_len), heads = size(p.heads * p.batch);
  std::vector<MmaTile> all;
  for (const auto& [m, warps, bn] : kShapes) {
    MmaTile t;
    if (p.tf32) t.bytes = 4, t.chunk = 4;
    t.dp = (p.head + 2 * t.chunk - 1) / (2 * t.chunk) * 2 * t.chunk, t.vp = (p.v_head + 15) / 16 * 16;
    t.m = m, t.bn = bn, t.bm = 16 * m * warps, t.threads = 32 * warps;
    t.hold = m * t.dp * t.bytes <= 256;
    if (registers(p, t) > 245) t.hold = false;
    if (std::max(t.dp, t.vp) > 128 && bn > 32) continue;  // the compiler spills there
    if (registers(p, t) > (chip.major >= 9 ? 245 : 235) || t.shared() > chip.shared_per_block) continue;
    if (!all.empty() && ((t.bm > 64 && t.bm >= 2 * rows) || (bn > 64 && bn >= 2 * keys))) continue;
    all.push_back(t);
  }
  // Few queries, or few blocks: the smaller tile.
  const auto first = std::find_if(all.begin(), all.end(), [&](const MmaTile& t) {
    return t.bm <= 64 || (rows > 64 && (rows + t.bm - 1) / t.bm * heads >= chip.multiprocessors);
  });
  if (first != all.end()) std::rotate(all.begin(), first, first + 1);
  return all;
}

std::string variant_name(const AttentionProblem& p, const MmaTile& t) {
  return cat(p.tf32 ? "attention.tf32." : "attention.mma.", t.bm, "x", t.bn, t.m == 1 && t.bm > 64 ? ".w8" : "");
}

}  // namespace

// One tile of keys. Each load begins once everyone has done with what it overwrites.
static const char kTile[] = R"({
constexpr int COLS = $COLS;
copy_async_wait<0>();
__syncthreads();
load_rows<BN, V_HEAD, VP, V_PITCH, V_VEC, THREADS>(v_tile, v, V_ROW, tile * BN, keys);
copy_async_commit();
float s[M][COLS / 8][4] = {};
if (!idle) {
UNROLL
for (int d = 0; d < DP / (2 * CHUNK); ++d) {
$QPART UNROLL
for (int n = 0; n < COLS / 16; ++n) {
unsigned part[4];
load_matrix_x4(part, k_tile + (n * 16 + (lane & 7) + (lane >> 4) * 8) * Q_PITCH + (2 * d + (lane >> 3 & 1)) * CHUNK);
$ROUND const unsigned low[2] = {part[0], part[1]}, high[2] = {part[2], part[3]};
UNROLL
for (int m = 0; m < M; ++m) {
$MMA(s[m][2 * n], $QAT, low);
$MMA(s[m][2 * n + 1], $QAT, high);
}
}
}
}
copy_async_wait<0>();
__syncthreads();
if (tile + 1 < tile_end) load_rows<BN, HEAD, DP, Q_PITCH, K_VEC, THREADS>(k_tile, k, K_ROW, (tile + 1) * BN, keys);
copy_async_commit();
if (!idle) {
$MAP UNROLL
for (int m = 0; m < M; ++m) {
UNROLL
for (int r = 0; r < 2; ++r) {
$SOFTMAX UNROLL
for (int n = 0; n < VP / 8; ++n) o[m][n][2 * r] *= fade, o[m][n][2 * r + 1] *= fade;
}
}
$VALUES}
}
)";

// The product with the values.
static const char kValues16[] = R"(UNROLL
for (int j = 0; j < COLS / 16; ++j) {
unsigned p[M][4];
UNROLL
for (int m = 0; m < M; ++m) {
UNROLL
for (int i = 0; i < 4; ++i) p[m][i] = $PACK(s[m][2 * j + i / 2][i % 2 * 2], s[m][2 * j + i / 2][i % 2 * 2 + 1]);
}
UNROLL
for (int n = 0; n < VP / 16; ++n) {
unsigned part[4];
load_matrix_x4_transposed(part, v_tile + (j * 16 + lane % 16) * V_PITCH + n * 16 + lane / 16 * 8);
const unsigned low[2] = {part[0], part[1]}, high[2] = {part[2], part[3]};
UNROLL
for (int m = 0; m < M; ++m) {
$MMA(o[m][2 * n], p[m], low);
$MMA(o[m][2 * n + 1], p[m], high);
}
}
}
)";
// tf32: the scores of keys 2 t and 2 t + 1 lie where the product has its rows t and t + 4, so values are read in that order.
static const char kValues32[] = R"(UNROLL
for (int j = 0; j < COLS / 8; ++j) {
unsigned p[M][4];
UNROLL
for (int m = 0; m < M; ++m) {
UNROLL
for (int i = 0; i < 4; ++i) p[m][i] = float_to_tf32(s[m][j][i % 2 * 2 + i / 2]);
}
const float* const from = v_tile + (j * 8 + lane % 4 * 2) * V_PITCH + lane / 4;
UNROLL
for (int n = 0; n < VP / 8; ++n) {
const unsigned w[2] = {float_to_tf32(from[n * 8]), float_to_tf32(from[V_PITCH + n * 8])};
UNROLL
for (int m = 0; m < M; ++m) $MMA(o[m][n], p[m], w);
}
}
)";

// Scores as the softmax takes them, where they are not just products; two neighbours at a time.
static const char kMap[] = R"(UNROLL
for (int m = 0; m < M; ++m) {
UNROLL
for (int i = 0; i < 4; i += 2) {
const int row = min(warp_row + m * 16 + lane / 4 + i / 2 * 8, QUERIES - 1);
UNROLL
for (int n = 0; n < COLS / 8; ++n) {
const int key = tile * BN + n * 8 + lane % 4 * 2;
float (&pair)[4] = s[m][n];
$PAIR}
}
}
)";

// What becomes of a pair in a tile that is seen as a `whole`, or else in parts.
static std::string map_text(const AttentionProblem& p, bool whole) {
  if (p.plain() && whole) return "";
  const auto one = [&](int i, const std::string& mask) {
    const std::string x = cat("pair[i + ", i, "]"), scored = p.mask < 0 ? cat("score(", x, ")") : cat("score(", x, ", ", mask, ")");
    return cat(x, " = ", whole ? "" : cat("sees(row, key + ", i, ") ? "), scored, whole ? "" : " : -INFINITE", ";\n");
  };
  std::string pair = p.mask < 0 ? "" : cat("const auto masks2 = masks_of(row, key, ", whole ? "key + 2" : "keys", ");\n");
  pair += one(0, "masks2.v[0]") + one(1, "masks2.v[1]");
  return fill(kMap, {{"PAIR", pair}});
}

static const char kQueries[] = R"(UNROLL
for (int m = 0; m < M; ++m) {
unsigned(&part)[4] = q_part$AT[m];
load_matrix_x4(part, q_tile + (warp * M * 16 + m * 16 + lane % 16) * Q_PITCH + (2 * d + lane / 16) * CHUNK);
$ROUND}
)";

std::vector<std::string> attention_variants(const AttentionProblem& p, const Chip& chip) {
  std::vector<std::string> names;
  for (const MmaTile& t : choose_tiles(p, chip)) names.push_back(variant_name(p, t));
  return names;
}

Status write_attention_mma(const AttentionProblem& p, const Chip& chip, const std::string& variant, Program& out) {
  const std::vector<MmaTile> all = choose_tiles(p, chip);
  const auto named = std::find_if(all.begin(), all.end(), [&](const MmaTile& t) { return variant.empty() || variant_name(p, t) == variant; });
  if (named == all.end() && !variant.empty()) return make_status(Code::no_kernel, "there is no variant '", escape(variant), "'");
  if (named == all.end() && p.tf32) return write_attention_simt(p, chip, out);
  if (named == all.end()) return unsupported("heads of size ", std::max(p.head, p.v_head), " need more shared memory than ", chip.name, " has");
  const MmaTile& t = *named;
  KernelWriter k("attention", t.threads);
  const std::string element = p.tf32 ? "float" : "unsigned short";
  k.body = attention_frame(k, p, t, element);
  const std::string multiply = p.tf32 ? "mma_tf32" : p.type == DType::f16 ? "mma_f16" : "mma_bf16", pack = p.type == DType::f16 ? "pack_f16" : "pack_bf16";
  const std::string round = p.tf32 ? "UNROLL\nfor (int i = 0; i < 4; ++i) part[i] = float_to_tf32(float_from_bits(part[i]));\n" : "";
  Holes h{{"M", cat(t.m)}, {"DP", cat(t.dp)}, {"VP", cat(t.vp)}, {"HEAD", cat(p.head)}, {"VHEAD", cat(p.v_head)},
          {"QVEC", cat(row_vector(p, p.q, p.head))}, {"KVEC", cat(row_vector(p, p.k, p.head))}, {"VVEC", cat(row_vector(p, p.v, p.v_head))},
          {"YVEC", cat(row_vector(p, p.y, p.v_head))}, {"QSIZE", cat(t.q_elements())}, {"MMA", multiply}, {"PACK", pack}, {"E", element}, {"CHUNK", cat(t.chunk)}, {"ROUND", round}};
  k.body += fill(R"(constexpr int M = $M, CHUNK = $CHUNK, HEAD = $HEAD, V_HEAD = $VHEAD, DP = $DP, VP = $VP, Q_PITCH = DP + CHUNK, V_PITCH = VP + CHUNK;
constexpr int Q_VEC = $QVEC, K_VEC = $KVEC, V_VEC = $VVEC, Y_VEC = $YVEC;
const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warp_row = row0 + warp * M * 16;
const bool idle = warp_row >= QUERIES;
$E* const q_tile = reinterpret_cast<$E*>(dynamic_shared());
$E *const k_tile = q_tile + $QSIZE, *const v_tile = k_tile + BN * Q_PITCH;
load_rows<BM, HEAD, DP, Q_PITCH, Q_VEC, THREADS>(q_tile, q, Q_ROW, row0, QUERIES);
if (tile_begin < tile_end) load_rows<BN, HEAD, DP, Q_PITCH, K_VEC, THREADS>(k_tile, k, K_ROW, tile_begin * BN, keys);
copy_async_commit();
float o[M][VP / 8][4] = {}, top[M][2], sum[M][2] = {};
UNROLL
for (int m = 0; m < M; ++m) top[m][0] = top[m][1] = -INFINITE;
)", h);
  if (t.hold)
    k.body += cat("copy_async_wait<0>();\n__syncthreads();\nunsigned q_part[DP / (2 * CHUNK)][M][4];\nUNROLL\nfor (int d = 0; d < DP / (2 * CHUNK); ++d) {\n",
                  fill(kQueries, {{"AT", "[d]"}, {"ROUND", round}}), "}\n");
  h["QPART"] = t.hold ? "" : cat("unsigned q_part[M][4];\n", fill(kQueries, {{"AT", ""}, {"ROUND", round}}));
  h["VALUES"] = fill(p.tf32 ? kValues32 : kValues16, h);
  h["QAT"] = t.hold ? "q_part[d][m]" : "q_part[m]";
  h["SOFTMAX"] = softmax_step(p, {{"TOP", "top[m][r]"}, {"SUM", "sum[m][r]"}, {"COUNT", "COLS / 4"}, {"SCORE", "s[m][j / 2][2 * r + j % 2]"}, {"REDUCE", "4"}});
  const auto tile = [&](int cols, bool whole) {
    Holes g = h;
    g["COLS"] = cat(cols);
    g["MAP"] = map_text(p, whole);
    return fill(kTile, g);
  };
  k.body += cat("int tile = tile_begin;\n#pragma unroll 1\nfor (; tile < tile_whole; ++tile) ", tile(t.bn, true),
                "#pragma unroll 1\nfor (; tile < tile_end; ++tile) ", tile(last_columns(p, t, 16), false));
  h["KEEP"] = p.tf32 ? "store_vec<2>(to + n * 8, all == 0.f ? Vec<float, 2>{} : Vec<float, 2>{{o[m][n][2 * r] * inverse, o[m][n][2 * r + 1] * inverse}});"
                     : fill("*reinterpret_cast<unsigned*>(to + n * 8) = all == 0.f ? 0u : $PACK(o[m][n][2 * r] * inverse, o[m][n][2 * r + 1] * inverse);", h);
  k.body += fill(R"(copy_async_wait<0>();
__syncthreads();
if (idle) return;
UNROLL
for (int m = 0; m < M; ++m) {
UNROLL
for (int r = 0; r < 2; ++r) {
float all = sum[m][r];
all += shuffle_xor(all, 1);
all += shuffle_xor(all, 2);
const float inverse = 1.f / all;
$E* const to = q_tile + (warp * M * 16 + m * 16 + lane / 4 + r * 8) * V_PITCH + lane % 4 * 2;
UNROLL
for (int n = 0; n < VP / 8; ++n)
$KEEP
}
}
warp_sync();
constexpr int ACROSS = V_HEAD / Y_VEC;
for (int i = lane; i < M * 16 * ACROSS; i += 32) {
const int r = i / ACROSS, c = i % ACROSS * Y_VEC;
if (warp_row + r < QUERIES) store_vec(y + (warp_row + r) * Y_ROW + c, load_vec<Y_VEC>(q_tile + (warp * M * 16 + r) * V_PITCH + c));
}
)", h);
  out.variant = variant_name(p, t);
  out.source = cat(kAttentionHelpers, k.text());
  out.recipe.launches = {attention_launch(k, p, t, t.shared())};
  return {};
}

}  // namespace tenon::cuda
