// Products on Hopper's tensor cores: one warp asks the copy engine for tiles, groups of four warps multiply what has come
// (wgmma), blocks stay and take one tile of the result after the other. Convolutions differ in one load: the copy engine
// gathers the pixels itself (im2col).
#include "backend/cuda/build/families/gemm_frame.h"
#include "backend/cuda/build/families/names.h"

namespace tenon::cuda {

namespace {

constexpr int kPitch = 40;     // floats of a row of 32 sums on their way out: rows in different banks
constexpr int kChunk = 32;     // columns that leave at once
constexpr int kBlock = 64;     // of k: 128 bytes, the span of the swizzle

int groups(const Tile& t) { return t.bm >= 128 ? 2 : 1; }

bool small(const Dim& d, int64_t low, int64_t high) { return d.is_const() && d.constant() >= low && d.constant() <= high; }

// A matrix as the copy engine reads it: [batch][rows][k].
TensorMap matrix_map(const Product& p, const Matrix& x, int rows) {
  const bool batched = !p.batch.empty() && !x.batch_strides[0].is(0);
  TensorMap m;
  m.type = name(p.type);
  m.dims = {x.k_limit, x.row_limit, batched ? p.batch[0] : Dim(1)};
  m.strides = {x.ld * Dim(2), batched ? x.batch_strides[0] * Dim(2) : x.ld * Dim(2)};
  m.box = {kBlock, rows, 1};
  m.element_strides = {1, 1, 1};
  m.swizzle = 128;
  return m;
}

// The weights of a convolution: [filters][taps][channels], so that each tap's channels end where they do in the image.
TensorMap weight_map(const Product& p, int rows) {
  const Dim channels = p.a.image.channels, taps = p.a.image.taps();
  TensorMap m = matrix_map(p, p.b, rows);
  m.dims = {channels, taps, p.b.row_limit};
  m.strides = {channels * Dim(2), p.b.ld * Dim(2)};
  m.box = {kBlock, 1, rows};
  return m;
}

// [images][height][width][channels], walked by the window. A single spatial dimension is a height of one.
TensorMap image_map(const Product& p, int rows) {
  const Pixels& x = p.a.image;
  const size_t rank = x.in.size(), w = rank - 1;
  const bool flat = rank == 1;
  TensorMap m;
  m.type = name(p.type);
  m.dims = {x.channels, x.in[w], flat ? Dim(1) : x.in[0], x.images};
  m.strides = {x.strides[w] * Dim(2), (flat ? x.image_stride : x.strides[0]) * Dim(2), x.image_stride * Dim(2)};
  m.element_strides = {1, int(x.stride[w]), flat ? 1 : int(x.stride[0]), 1};
  const auto corner = [&](size_t d) {
    const int64_t low = -x.pad[d].constant();
    m.lower.push_back(int(low));
    m.upper.push_back(int((x.out[d].constant() - 1) * x.stride[d] + low - (x.in[d].constant() - 1)));
  };
  corner(w);
  if (flat) m.lower.push_back(0), m.upper.push_back(0);
  else corner(0);
  m.channels = kBlock;
  m.pixels = rows;
  m.swizzle = 128;
  return m;
}

// wgmma over one step of 16 along k: d (+)= a b, BN columns.
std::string multiply_text(DType type, int bn) {
  const int n = bn / 2;
  std::string regs, constraints;
  for (int i = 0; i < n; ++i) {
    regs += cat(i ? ", %" : "%", i);
    constraints += cat(i ? ", " : "", "\"+f\"(d[", i, "])");
  }
  const std::string t = name(type);
  return cat("DEVICE void multiply(float (&d)[", n, "], unsigned long long a, unsigned long long b, int add) {\n",
             "asm volatile(\"{\\n.reg .pred p;\\nsetp.ne.b32 p, %", n + 2, ", 0;\\n\"\n\"wgmma.mma_async.sync.aligned.m64n", bn, "k16.f32.", t, ".", t,
             " {", regs, "}, %", n, ", %", n + 1, ", p, 1, 1, 0, 0;\\n}\" : ", constraints, " : \"l\"(a), \"l\"(b), \"r\"(add));\n}\n");
}

}  // namespace

int64_t wgmma_shared(const Tile& t) {
  return int64_t(t.stages) * (t.bm + t.bn) * kBlock * 2 + int64_t(groups(t)) * 4 * 16 * kPitch * 4 + t.stages * 16;
}

int wgmma_threads(const Tile& t) { return (groups(t) + 1) * 128; }

bool wgmma_fits(const Product& p, const Chip& chip) {
  if (!chip.wgmma || (p.type != DType::f16 && p.type != DType::bf16) || p.epilogue.sum != DType::f32) return false;
  if (!p.k.is_const() || p.k.constant() < 1 || p.batch.size() > 1 || !p.plane.is(0)) return false;
  if (p.b.form != Matrix::k_major || run_length(p.b, 8) != 8) return false;
  if (p.a.form == Matrix::k_major) return run_length(p.a, 8) == 8;
  if (p.a.form != Matrix::pixels || run_length(p.a, 8) != 8 || !p.batch.empty()) return false;
  const Pixels& x = p.a.image;
  if (x.transposed || x.channel_major || x.in.size() > 2 || !x.channels.is_const() || mod(x.channels, Dim(8)).constant() != 0) return false;
  for (size_t d = 0; d < x.in.size(); ++d) {
    if (!x.in[d].is_const() || !x.out[d].is_const() || !small(x.pad[d], 0, 128) || x.stride[d] > 8) return false;
    const int64_t upper = (x.out[d].constant() - 1) * x.stride[d] - x.pad[d].constant() - (x.in[d].constant() - 1);
    if (upper < -128 || upper > 127 || (x.kernel[d] - 1) * x.dilation[d] > 255) return false;
  }
  return true;
}

Status write_wgmma(const Product& p, const Tile& t, Program& out) {
  Tile wide = t;  // a cluster's tile: blocks of it lie one under the other
  wide.bm *= t.cluster;
  GemmFrame f(p, wide);
  KernelWriter& k = f.k;
  const bool conv = p.a.form == Matrix::pixels;
  const auto map = [&](const Matrix& x, TensorMap m) { return k.map(std::move(m), x.stored ? Arg::data : Arg::input, x.index); };
  const std::string a = map(p.a, conv ? image_map(p, t.bm) : matrix_map(p, p.a, t.bm));
  const std::string b = map(p.b, conv ? weight_map(p, t.bn / t.cluster) : matrix_map(p, p.b, t.bn / t.cluster));
  const auto entry = [&](const Matrix& x) { return !p.batch.empty() && !x.batch_strides[0].is(0) ? "batch" : "0"; };

  std::string place, load_a, k_at, b_at;
  if (conv) {
    const Pixels& x = p.a.image;
    const size_t rank = x.in.size(), w = rank - 1;
    const std::string q = k.size(x.out[w]), pq = k.size(product(x.out));
    place = cat("const int image = m_tile / ", pq, ", spot = m_tile - image * ", pq, ";\n",
                "const int x0 = spot % ", q, " * ", x.stride[w], " - ", x.pad[w].constant(), ", y0 = ",
                rank == 1 ? "0" : cat("spot / ", q, " * ", x.stride[0], " - ", x.pad[0].constant()), ";\n");
    const int64_t parts = (x.channels.constant() + kBlock - 1) / kBlock;
    k_at = cat("const int tap = block / ", parts, ", channel = (block - tap * ", parts, ") * 64, tap_y = tap / ", x.kernel[w], ", tap_x = tap - tap_y * ", x.kernel[w], ";\n");
    load_a = cat("bulk_load_im2col(at, &", a, ", full + stage, channel, x0, y0, image, tap_x * ", x.dilation[w], ", tap_y * ", rank == 1 ? 1 : x.dilation[0], ");\n");
    b_at = "channel, tap, col0";
  } else {
    load_a = cat("bulk_load(at, &", a, ", full + stage, block * 64, m_tile, ", entry(p.a), ");\n");
    b_at = "block * 64, col0";
  }
  const std::string share = t.cluster > 1 ? " + partner * (BN / CL)" : "", last = conv ? "" : cat(", ", entry(p.b));
  const std::string load_b = t.cluster > 1
      ? cat("bulk_load_to_all(at + TILE * 128 + partner * (BN / CL) * 128, &", b, ", full + stage, (1 << CL) - 1, ", b_at, share, last, ");\n")
      : cat("bulk_load(at + TILE * 128, &", b, ", full + stage, ", b_at, last, ");\n");
  const int64_t blocks = conv ? p.a.image.taps() * ((p.a.image.channels.constant() + kBlock - 1) / kBlock) : (p.k.constant() + kBlock - 1) / kBlock;
  const std::string tiles = cat("((", k.size(p.m), " + BM - 1) / BM) * ((", k.size(p.n), " + BN - 1) / BN) * ", k.size(product(p.batch)));
  const Names holes{{"cluster", cat(t.cluster)}, {"groups", cat(groups(t))}, {"pitch", cat(kPitch)}, {"chunk", cat(kChunk)}, {"blocks", cat(blocks)},
                    {"tiles", tiles}, {"a", a}, {"b", b}, {"position", TRY(f.position("item"))}, {"place", place}, {"kat", k_at}, {"loada", load_a},
                    {"loadb", load_b}, {"give", groups(t) == 2 ? "give_registers<40>();\n" : ""}, {"take", groups(t) == 2 ? "take_registers<232>();\n" : ""},
                    {"sync", t.cluster > 1 ? "cluster_sync();\n" : "__syncthreads();\n"}, {"partner", t.cluster > 1 ? "cluster_rank()" : "0"},
                    {"release", t.cluster > 1 ? "if (lane < CL) barrier_arrive_at(empty + done, lane);\n" : "if (lane == 0) barrier_arrive(empty + done);\n"},
                    {"finish", TRY(f.finish())}};
  k.body = f.constants() + expand(R"(constexpr int CL = $cluster, TILE = BM / CL, GROUPS = $groups, MT = TILE / 64 / GROUPS, STAGE = (TILE + BN) * 128, PITCH = $pitch, CHUNK = $chunk, BLOCKS = $blocks;
unsigned char* const ring = dynamic_shared();
Barrier* const full = reinterpret_cast<Barrier*>(ring + STAGES * STAGE + GROUPS * 4 * 16 * PITCH * 4), *const empty = full + STAGES;
const int partner = $partner;
if (tid == 0) {
prefetch_map(&$a);
prefetch_map(&$b);
for (int s = 0; s < STAGES; ++s) {
barrier_init(full + s, 1);
barrier_init(empty + s, GROUPS * 4 * CL);
}
barrier_init_done();
}
$sync PDL_WAIT;
PDL_LAUNCH;
const int total = $tiles;
int stage = 0, phase = 0;
if (tid < 128) {
$give if (tid == 0) {
#pragma unroll 1
for (int item = blockIdx.x / CL; item < total; item += gridDim.x / CL) {
$position const int m_tile = row0 + partner * TILE;
$place#pragma unroll 1
for (int block = 0; block < BLOCKS; ++block) {
barrier_wait(empty + stage, phase ^ 1);
barrier_expect(full + stage, STAGE);
unsigned char* const at = ring + stage * STAGE;
$kat$loada$loadb if (++stage == STAGES) stage = 0, phase ^= 1;
}
}
}
} else {
$take const int group = tid / 128 - 1, warp = tid / 32 % 4, lane = tid % 32;
float* const mine = reinterpret_cast<float*>(ring + STAGES * STAGE) + (group * 4 + warp) * 16 * PITCH;
#pragma unroll 1
for (int item = blockIdx.x / CL; item < total; item += gridDim.x / CL) {
$position const int m_tile = row0 + partner * TILE;
float d[MT][BN / 2];
int done = 0;
#pragma unroll 1
for (int block = 0; block < BLOCKS; ++block) {
barrier_wait(full + stage, phase);
const unsigned char* const at = ring + stage * STAGE;
const unsigned long long a_tile = matrix_descriptor(at + group * MT * 8192), b_tile = matrix_descriptor(at + TILE * 128);
wgmma_fence();
UNROLL
for (int step = 0; step < 4; ++step) {
UNROLL
for (int i = 0; i < MT; ++i) multiply(d[i], a_tile + i * 512 + step * 2, b_tile + step * 2, block > 0 || step > 0);
}
wgmma_commit();
if (block > 0) {
wgmma_wait<1>();
$release}
done = stage;
if (++stage == STAGES) stage = 0, phase ^= 1;
}
wgmma_wait<0>();
$release// Each warp's sums leave through a corner of shared memory of its own, so that rows are stored in whole vectors.
UNROLL
for (int i = 0; i < MT; ++i) {
UNROLL
for (int piece = 0; piece < BN / CHUNK; ++piece) {
UNROLL
for (int j = 0; j < CHUNK / 8; ++j) {
const float* const s = d[i] + (piece * (CHUNK / 8) + j) * 4;
float* const to = mine + lane / 4 * PITCH + j * 8 + lane % 4 * 2;
store_vec<2>(to, Vec<float, 2>{{s[0], s[1]}});
store_vec<2>(to + 8 * PITCH, Vec<float, 2>{{s[2], s[3]}});
}
warp_sync();
#pragma unroll 1
for (int item = lane; item < 16 * CHUNK / RUN; item += 32) {
const int r = item / (CHUNK / RUN), from = item % (CHUNK / RUN) * RUN;
const int row = m_tile + (group * MT + i) * 64 + warp * 16 + r, column = col0 + piece * CHUNK + from;
if (row < M && column < N) {
Acc c[RUN];
UNROLL
for (int q = 0; q < RUN; ++q) c[q] = mine[r * PITCH + from + q];
$finish}
}
warp_sync();
}
}
}
}
$sync)", holes);
  out.source += multiply_text(p.type, t.bn) + k.text();
  const Dim all = ceil_div(p.m, wide.bm) * ceil_div(p.n, t.bn) * product(p.batch) * Dim(t.cluster);
  KernelLaunch launch = k.launch({min(all, Dim(t.blocks / t.cluster * t.cluster))}, {t.threads()}, shared_bytes(p, t));
  launch.cluster = t.cluster;
  out.recipe.launches.push_back(launch);
  return {};
}

}  // namespace tenon::cuda
