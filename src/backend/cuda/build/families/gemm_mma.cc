// Products on tensor cores with mma.sync: a ring of tiles in shared memory filled by cp.async, fragments by ldmatrix.
#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

// How many pieces the tile of sums goes through shared memory in: few, but no larger than the ring.
static int slabs(const Product& p, const Tile& t) {
  const int64_t ring = int64_t(t.stages) * (t.bm + t.bn) * t.bk * bits(p.type) / 8;
  int n = 1;
  while (n < t.wm / 16 && int64_t(t.bm / n) * (t.bn + 8) * 4 > ring) n *= 2;
  return n;
}

static int64_t mma_shared(const Product& p, const Tile& t) {
  const int64_t ring = int64_t(t.stages) * (t.bm + t.bn) * t.bk * bits(p.type) / 8;
  return std::max(ring, int64_t(t.bm / slabs(p, t)) * (t.bn + 8) * 4);
}

static int64_t simt_shared(const Product& p, const Tile& t) {
  const int64_t size = bits(p.type) / 8, ring = int64_t(2) * t.bk * (t.bm + 4 + t.bn + 4) * size;
  return std::max(ring, int64_t(t.bm / (t.wm / 4)) * (t.bn + 8) * size);
}

int64_t shared_bytes(const Product& p, const Tile& t) {
  if (t.kind == Tile::rows) return 0;
  if (t.kind == Tile::wgmma) return wgmma_shared(t);
  return t.kind == Tile::mma ? mma_shared(p, t) : simt_shared(p, t);
}

// The fragments of one operand for one step of 32 bytes along k. `first`: the warp's first row in the tile.
static std::string fragments(const LoadSide& s, const char* first, bool left, bool tf32) {
  // Lane 8 i + j gives row j of matrix i. A's four are (rows 0-7, rows 8-15) x (first, second half of k); B's are the
  // halves of k of 8 rows, then of 8 more.
  const bool columns = s.matrix.form == Matrix::columns;
  std::string row, chunk;
  if (!columns) {
    row = left ? "lane % 16" : "(lane & 7) + (lane >> 4) * 8";
    chunk = left ? "2 * step + lane / 16" : "2 * step + (lane >> 3 & 1)";
    row = cat(first, " + i * 16 + ", row);
  } else {
    row = cat("step * 16 + (lane & 7) + ", left ? "(lane >> 4) * 8" : "(lane >> 3 & 1) * 8");
    chunk = cat("(", first, " + i * 16) / E + ", left ? "(lane >> 3 & 1)" : "(lane >> 4)");
  }
  std::string text = fill(R"(UNROLL
for (int i = 0; i < $COUNT; ++i) {
const int row = $ROW;
load_matrix_x4$HOW($X_part[i], $X_tile + (row * CHUNKS_$X + swizzle<CHUNKS_$X>(row, $CHUNK)) * 16);
)", {{"COUNT", left ? "WM / 16" : "WN / 16"}, {"ROW", row}, {"CHUNK", chunk}, {"X", s.x}, {"HOW", columns ? "_transposed" : ""}});
  if (tf32) text += fill("UNROLL\nfor (int j = 0; j < 4; ++j) $X_part[i][j] = float_to_tf32(float_from_bits($X_part[i][j]));\n", {{"X", s.x}});
  return text + "}\n";
}

Status write_mma(const Product& p, const Tile& t, Program& out) {
  GemmFrame f(p, t);
  KernelWriter& k = f.k;
  const int chunk = 128 / bits(p.type);
  const LoadSide a{p.a, "a", f.a, "row0", "M", t.bm, run_length(p.a, chunk)};
  const LoadSide b{p.b, "b", f.b, "col0", "N", t.bn, run_length(p.b, chunk)};
  const char* multiply = p.type == DType::f16 ? "mma_f16" : p.type == DType::bf16 ? "mma_bf16" : "mma_tf32";
  std::string body = f.constants() + TRY(f.position());
  body += cat("const int K = ", k.size(p.k), ";\n", f.range());
  body += async_loader(k, a) + async_loader(k, b);
  const Holes holes{{"WM", cat(t.wm)}, {"WN", cat(t.wn)}, {"MMA", multiply}, {"AFRAG", fragments(a, "warp_m * WM", true, p.type == DType::f32)},
                    {"BFRAG", fragments(b, "warp_n * WN", false, p.type == DType::f32)}, {"SLABS", cat(slabs(p, t))},
                    // Stored operands are nobody's result: they are read before the kernel in front is done.
                    {"EARLY", p.b.stored ? "load_b(ring + s * STAGE + BM * BK * SIZE, first_block + s);\n" : ""},
                    {"LATE", p.b.stored ? "" : "load_b(ring + s * STAGE + BM * BK * SIZE, first_block + s);\n"}};
  body += fill(R"(constexpr int WM = $WM, WN = $WN, STAGE = (BM + BN) * BK * SIZE;
const int lane = tid % 32, warp_m = tid / 32 / (BN / WN), warp_n = tid / 32 % (BN / WN);
unsigned char* const ring = dynamic_shared();
UNROLL
for (int s = 0; s < STAGES - 1; ++s) {
if (first_block + s < last_block) {
$EARLY}
}
PDL_WAIT;
PDL_LAUNCH;
UNROLL
for (int s = 0; s < STAGES - 1; ++s) {
if (first_block + s < last_block) {
load_a(ring + s * STAGE, first_block + s);
$LATE}
copy_async_commit();
}
float sums[WM / 16][WN / 8][4] = {};
int reads = 0, writes = STAGES - 1;
#pragma unroll 1
for (int block = first_block; block < last_block; ++block) {
copy_async_wait<STAGES - 2>();
__syncthreads();
if (block + STAGES - 1 < last_block) {
load_a(ring + writes * STAGE, block + STAGES - 1);
load_b(ring + writes * STAGE + BM * BK * SIZE, block + STAGES - 1);
}
copy_async_commit();
writes = writes + 1 == STAGES ? 0 : writes + 1;
const unsigned char *const a_tile = ring + reads * STAGE, *const b_tile = a_tile + BM * BK * SIZE;
reads = reads + 1 == STAGES ? 0 : reads + 1;
UNROLL
for (int step = 0; step < BK * SIZE / 32; ++step) {
unsigned a_part[WM / 16][4], b_part[WN / 16][4];
$AFRAG$BFRAG UNROLL
for (int i = 0; i < WM / 16; ++i) {
UNROLL
for (int j = 0; j < WN / 8; ++j) {
const unsigned half_b[2] = {b_part[j / 2][j % 2 * 2], b_part[j / 2][j % 2 * 2 + 1]};
$MMA(sums[i][j], a_part[i], half_b);
}
}
}
}
copy_async_wait<0>();
// The sums leave through shared memory, so that rows are stored in whole vectors.
constexpr int SLABS = $SLABS, SLAB = WM / SLABS, PITCH = BN + 8;
float* const tile = reinterpret_cast<float*>(ring);
UNROLL
for (int slab = 0; slab < SLABS; ++slab) {
__syncthreads();
UNROLL
for (int i = 0; i < SLAB / 16; ++i) {
UNROLL
for (int j = 0; j < WN / 8; ++j) {
const float(&d)[4] = sums[slab * (SLAB / 16) + i][j];
float* const to = tile + (warp_m * SLAB + i * 16 + lane / 4) * PITCH + warp_n * WN + j * 8 + lane % 4 * 2;
store_vec<2>(to, Vec<float, 2>{{d[0], d[1]}});
store_vec<2>(to + 8 * PITCH, Vec<float, 2>{{d[2], d[3]}});
}
}
__syncthreads();
)", holes);
  body += TRY(f.finish_tile("BM / SLABS", "row0 + r / SLAB * WM + slab * SLAB + r % SLAB")) + "}\n";
  f.add_to(out, std::move(body));
  return {};
}

}  // namespace tenon::cuda
