// Products on Hopper's tensor cores: one warp asks the copy engine for tiles, groups of four warps multiply what has come
// (wgmma), blocks stay and take one tile of the result after the other. Convolutions differ in one load: the copy engine
// gathers the pixels itself (im2col).
#include <optional>

#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

namespace {

constexpr int kBlock = 64;     // of k: 128 bytes, the span of the swizzle

int groups(const Tile& t) { return t.alternate || t.bm >= 128 ? 2 : 1; }
// More sums than that need registers of those who copy.
bool many_sums(const Tile& t) { return t.alternate && t.bm * t.bn / 128 > 128; }

bool small(const Dim& d, int64_t low, int64_t high) { return d.is_const() && d.constant() >= low && d.constant() <= high; }

// Where the entries of a batch lie, innermost first: only dimensions that the operand has.
void add_batch(const Product& p, const Matrix& x, TensorMap& m) {
  for (size_t d = p.batch.size(); d-- > 0;) {
    if (x.batch_strides[d].is(0)) continue;
    m.dims.push_back(max(p.batch[d], Dim(1)));
    m.strides.push_back(x.batch_strides[d] * Dim(2));
    m.box.push_back(1);
  }
  // At least three dimensions.
  while (m.dims.size() < 3) {
    m.dims.push_back(1);
    m.strides.push_back(m.strides.back());
    m.box.push_back(1);
  }
  m.element_strides.assign(m.dims.size(), 1);
}

std::string batch_coordinates(const Product& p, const Matrix& x) {
  std::string text;
  int given = 2;
  for (size_t d = p.batch.size(); d-- > 0;)
    if (!x.batch_strides[d].is(0)) text += cat(", batch", d), ++given;
  return given < 3 ? text + ", 0" : text;
}

// A matrix as the copy engine reads it: [batch][rows][k], or [batch][k][rows] in boxes of 64 rows.
TensorMap matrix_map(const Product& p, const Matrix& x, int rows) {
  TensorMap m;
  m.type = name(p.type);
  m.swizzle = 128;
  m.strides = {x.ld * Dim(2)};
  if (x.form == Matrix::columns) {
    m.dims = {max(x.row_limit, Dim(1)), x.k_limit};
    m.box = {64, kBlock};
  } else {
    m.dims = {x.k_limit, max(x.row_limit, Dim(1))};
    m.box = {kBlock, rows};
  }
  add_batch(p, x, m);
  return m;
}

// The weights of a convolution: [groups][filters][taps][channels], so that each tap's channels end where they do in the
// image.
TensorMap weight_map(const Product& p, int rows) {
  const Dim channels = p.a.image.channels, taps = p.a.image.taps();
  TensorMap m;
  m.type = name(p.type);
  m.swizzle = 128;
  m.dims = {channels, taps, p.b.row_limit};
  m.strides = {channels * Dim(2), p.b.ld * Dim(2)};
  m.box = {kBlock, 1, rows};
  add_batch(p, p.b, m);
  return m;
}

// The last position of a window, counted from the last pixel: what the map calls its upper corner.
std::optional<int64_t> upper_corner(const Pixels& x, size_t d) {
  if (x.in[d].is_const() && x.out[d].is_const())
    return (x.out[d].constant() - 1) * x.stride[d] - x.pad[d].constant() - (x.in[d].constant() - 1);
  if (!x.pad_end[d].is_const()) return std::nullopt;
  return x.pad_end[d].constant() - (x.kernel[d] - 1) * x.dilation[d];
}

// [images][depth][height][width][channels], walked by the window. A single spatial dimension is a height of one.
TensorMap image_map(const Product& p, int rows) {
  const Pixels& x = p.a.image;
  TensorMap m;
  m.type = name(p.type);
  m.swizzle = 128;
  m.channels = kBlock;
  m.pixels = rows;
  m.dims = {p.batch.empty() ? x.channels : x.strides.back()};
  m.element_strides = {1};
  for (size_t d = x.in.size(); d-- > 0;) {
    m.dims.push_back(max(x.in[d], Dim(1)));
    m.strides.push_back(x.strides[d] * Dim(2));
    m.element_strides.push_back(int(x.stride[d]));
    m.lower.push_back(int(-x.pad[d].constant()));
    m.upper.push_back(int(*upper_corner(x, d)));
  }
  if (x.in.size() == 1) {
    m.dims.push_back(1);
    m.strides.push_back(x.image_stride * Dim(2));
    m.element_strides.push_back(1);
    m.lower.push_back(0);
    m.upper.push_back(0);
  }
  m.dims.push_back(max(x.images, Dim(1)));
  m.strides.push_back(x.image_stride * Dim(2));
  m.element_strides.push_back(1);
  return m;
}

bool fits_matrix(const Matrix& x) {
  int used = 2;
  for (const Dim& d : x.batch_strides) used += !d.is(0);
  return used <= 5 && run_length(x, 8) == 8;
}

bool fits_pixels(const Product& p) {
  const Pixels& x = p.a.image;
  const size_t rank = x.in.size();
  if (x.transposed || x.channel_major || run_length(p.a, 8) != 8 || !x.channels.is_const()) return false;
  // Behind a group's channels stand the next group's.
  if (!p.batch.empty() && x.channels.constant() % kBlock) return false;
  const int64_t corner = rank == 3 ? 16 : 128, reach = rank == 3 ? 31 : 255;
  for (size_t d = 0; d < rank; ++d) {
    if (!small(x.pad[d], 0, corner) || x.stride[d] > 8 || (x.kernel[d] - 1) * x.dilation[d] > reach) return false;
    const auto upper = upper_corner(x, d);
    if (!upper || *upper < -corner || *upper >= corner) return false;
  }
  return true;
}

// What one thread does: copies of A and of B for block `block` of k, and what comes before the blocks of a tile.
struct Copies {
  std::string place, k_at, a, b;
};

Copies matrix_copies(const Product& p, const Tile& t, const std::string& a, const std::string& b) {
  Copies c;
  c.a = cat("bulk_load(at, &", a, ", full + stage, block * 64, m_tile", batch_coordinates(p, p.a), ");\n");
  if (p.b.form == Matrix::columns)
    c.b = cat("UNROLL\nfor (int part = 0; part < BN / 64; ++part) bulk_load(at + TILE * 128 + part * 8192, &", b,
              ", full + stage, col0 + part * 64, block * 64", batch_coordinates(p, p.b), ");\n");
  else if (t.cluster > 1)
    c.b = cat("bulk_load_to_all(at + TILE * 128 + partner * (BN / CL) * 128, &", b, ", full + stage, (1 << CL) - 1, block * 64, col0 + partner * (BN / CL)",
              batch_coordinates(p, p.b), ");\n");
  else
    c.b = cat("bulk_load(at + TILE * 128, &", b, ", full + stage, block * 64, col0", batch_coordinates(p, p.b), ");\n");
  return c;
}

Copies pixel_copies(KernelWriter& k, const Product& p, const Tile& t, const std::string& a, const std::string& b) {
  const Pixels& x = p.a.image;
  const int64_t parts = (x.channels.constant() + kBlock - 1) / kBlock;
  Copies c;
  c.place = "int rest = m_tile;\n";
  c.k_at = cat("const int tap = block / ", parts, ", channel = (block - tap * ", parts, ") * 64;\n");
  std::string from, offsets, tap = "tap";
  for (size_t d = x.in.size(); d-- > 0;) {
    const std::string size = k.size(x.out[d]);
    c.place += cat("const int x", d, " = rest % ", size, " * ", x.stride[d], " - ", x.pad[d].constant(), ";\nrest /= ", size, ";\n");
    c.k_at += cat("const int tap", d, " = (", tap, d == 0 ? ")" : cat(") % ", x.kernel[d]), " * ", x.dilation[d], ";\n");
    tap = cat("(", tap, ") / ", x.kernel[d]);
    from += cat(", x", d);
    offsets += cat(", tap", d);
  }
  if (x.in.size() == 1) from += ", 0", offsets += ", 0";
  const std::string group = p.batch.empty() ? "" : cat("batch0 * ", x.channels.constant(), " + ");
  c.a = cat("bulk_load_im2col(at, &", a, ", full + stage, ", group, "channel", from, ", rest", offsets, ");\n");
  const std::string at = cat("channel, tap, col0", p.batch.empty() ? "" : ", batch0");
  c.b = t.cluster > 1
      ? cat("bulk_load_to_all(at + TILE * 128 + partner * (BN / CL) * 128, &", b, ", full + stage, (1 << CL) - 1, channel, tap, col0 + partner * (BN / CL));\n")
      : cat("bulk_load(at + TILE * 128, &", b, ", full + stage, ", at, ");\n");
  return c;
}

}  // namespace

int64_t wgmma_shared(const Tile& t) {
  return int64_t(t.stages) * (t.bm + t.bn) * kBlock * 2 + int64_t(groups(t)) * 4 * kWgmmaCorner + t.stages * 16 + 16;
}

int wgmma_threads(const Tile& t) { return (groups(t) + 1) * 128; }

// Blocks of k; of a convolution each tap's channels are a whole number of them.
static int64_t blocks_of(const Product& p) {
  if (p.a.form != Matrix::pixels) return (p.k.constant() + kBlock - 1) / kBlock;
  return p.a.image.taps() * ((p.a.image.channels.constant() + kBlock - 1) / kBlock);
}

bool wgmma_fits(const Product& p, const Tile& t, const Chip& chip) {
  if (!chip.wgmma || (p.type != DType::f16 && p.type != DType::bf16) || p.epilogue.sum != DType::f32) return false;
  if (!p.k.is_const() || p.k.constant() < 1 || !p.plane.is(0)) return false;
  if (t.alternate && (t.splits > 1 || t.cluster > 1)) return false;
  if (many_sums(t) && p.a.form == Matrix::pixels) return false;  // its copies are not told in 24 registers
  // A cluster's blocks share B by copies that know three coordinates.
  if (t.cluster > 1 && (!p.batch.empty() || p.b.form == Matrix::columns)) return false;
  if (p.b.form == Matrix::columns && t.bn % 64) return false;
  if (p.b.form == Matrix::pixels || p.a.form == Matrix::columns || !fits_matrix(p.b)) return false;
  if (!(p.a.form == Matrix::pixels ? fits_pixels(p) : fits_matrix(p.a))) return false;
  // Each part of a split sum has something to add.
  const int64_t blocks = blocks_of(p), share = (blocks + t.splits - 1) / t.splits;
  return share * (t.splits - 1) < blocks;
}

Status write_wgmma(const Product& p, const Tile& t, Program& out) {
  Tile wide = t;  // a cluster's tile: blocks of it lie one under the other
  wide.bm *= t.cluster;
  GemmFrame f(p, wide);
  KernelWriter& k = f.k;
  const bool conv = p.a.form == Matrix::pixels, columns = p.b.form == Matrix::columns;
  const auto map = [&](const Matrix& x, TensorMap m) { return k.map(std::move(m), x.stored ? Arg::data : Arg::input, x.index); };
  const std::string a = map(p.a, conv ? image_map(p, t.bm) : matrix_map(p, p.a, t.bm));
  const std::string b = map(p.b, conv ? weight_map(p, t.bn / t.cluster) : matrix_map(p, p.b, t.bn / t.cluster));
  const Copies c = conv ? pixel_copies(k, p, t, a, b) : matrix_copies(p, t, a, b);
  const std::string tiles = cat("((", k.size(p.m), " + BM - 1) / BM) * ((", k.size(p.n), " + BN - 1) / BN) * SPLITS * ", k.size(product(p.batch)));
  const std::string position = TRY(f.position("item")) +
                               "const int m_tile = row0 + partner * TILE;\n" +
                               (t.splits > 1 ? "const int first = split * SHARE, last = first + SHARE < BLOCKS ? first + SHARE : BLOCKS;\n"
                                             : "const int first = 0, last = BLOCKS;\n");
  const WgmmaExit exit = TRY(wgmma_exit(f, !many_sums(t)));
  const Holes holes{{"CLUSTER", cat(t.cluster)}, {"GROUPS", cat(groups(t))}, {"CORNER", cat(kWgmmaCorner)}, {"BLOCKS", cat(blocks_of(p))},
                    {"TILES", tiles}, {"A", a}, {"B", b}, {"POSITION", position}, {"PLACE", c.place}, {"KAT", c.k_at}, {"LOADA", c.a},
                    {"LOADB", c.b}, {"GIVE", many_sums(t) ? "give_registers<24>();\n" : groups(t) == 2 ? "give_registers<40>();\n" : ""},
                    {"TAKE", many_sums(t) ? "take_registers<240>();\n" : groups(t) == 2 ? "take_registers<232>();\n" : ""},
                    {"SHARING", cat(t.alternate ? 1 : groups(t))},
                    {"SYNC", t.cluster > 1 ? "cluster_sync();\n" : "__syncthreads();\n"}, {"PARTNER", t.cluster > 1 ? "cluster_rank()" : "0"},
                    {"RELEASE", t.cluster > 1 ? "if (lane < CL) barrier_arrive_at(empty + done, lane);\n" : "if (lane == 0) barrier_arrive(empty + done);\n"},
                    {"MULTIPLY", cat(p.type == DType::f16 ? "wgmma_f16<" : "wgmma_bf16<", columns ? "true>" : "false>")},
                    {"BTILE", columns ? "column_descriptor(at + TILE * 128, 8192)" : "matrix_descriptor(at + TILE * 128)"},
                    {"BSTEP", columns ? "128" : "2"},
                    // Stored operands are nobody's result: they are read before the kernel in front is done.
                    {"EARLY", p.b.stored && t.cluster == 1 ? "true" : "false"},
                    {"KIND", exit.type}, {"AHEAD", exit.ahead}, {"LEAVE", exit.rest}};
  k.body = f.constants() + fill(R"(constexpr int CL = $CLUSTER, TILE = BM / CL, GROUPS = $GROUPS, SHARING = $SHARING, MT = TILE / 64 / SHARING, STAGE = (TILE + BN) * 128, CORNER = $CORNER, BLOCKS = $BLOCKS, SHARE = (BLOCKS + SPLITS - 1) / SPLITS;
unsigned char* const ring = dynamic_shared();
Barrier* const full = reinterpret_cast<Barrier*>(ring + STAGES * STAGE + GROUPS * 4 * CORNER), *const empty = full + STAGES, *const turns = empty + STAGES;
const int partner = $PARTNER;
if (tid == 0) {
prefetch_map(&$A);
prefetch_map(&$B);
for (int s = 0; s < STAGES; ++s) {
barrier_init(full + s, 1);
barrier_init(empty + s, SHARING * 4 * CL);
}
if (SHARING < GROUPS) barrier_init(turns, 4), barrier_init(turns + 1, 4);
barrier_init_done();
}
$SYNC const int total = $TILES;
int stage = 0, phase = 0, early = 0;
if ($EARLY && tid == 0 && (int)blockIdx.x < total) {
const int item = blockIdx.x;
$POSITION for (int block = first; block < last && early < STAGES; ++block, ++early) {
const int stage = early;
barrier_expect(full + stage, STAGE);
unsigned char* const at = ring + stage * STAGE;
$KAT$LOADB}
}
PDL_WAIT;
PDL_LAUNCH;
if (tid < 128) {
$GIVE if (tid == 0) {
#pragma unroll 1
for (int item = blockIdx.x / CL; item < total; item += gridDim.x / CL) {
$POSITION$PLACE#pragma unroll 1
for (int block = first; block < last; ++block) {
unsigned char* const at = ring + stage * STAGE;
$KAT if (early > 0) {
--early;
} else {
barrier_wait(empty + stage, phase ^ 1);
barrier_expect(full + stage, STAGE);
$LOADB}
$LOADA if (++stage == STAGES) stage = 0, phase ^= 1;
}
}
}
} else {
$TAKE const int group = tid / 128 - 1, warp = tid / 32 % 4, lane = tid % 32;
const int first_part = SHARING > 1 ? group * MT : 0;
$KIND* const corner = reinterpret_cast<$KIND*>(ring + STAGES * STAGE) + (group * 4 + warp) * (CORNER / (int)sizeof($KIND));
int item_number = 0;
#pragma unroll 1
for (int item = blockIdx.x / CL; item < total; item += gridDim.x / CL) {
if (SHARING < GROUPS) {
const int number = item_number++;
if ((number & 1) != group) {  // the other group's
const int next = stage + BLOCKS;
phase ^= next / STAGES & 1;
stage = next % STAGES;
continue;
}
// A barrier tells a phase only from the next one: the tiles in front must have been taken before this one is waited for.
if (number > 0) barrier_wait(turns + group, (number - 1) / 2 & 1);
}
$POSITION float d[MT][BN / 2];
int done = 0;
#pragma unroll 1
for (int block = first; block < last; ++block) {
barrier_wait(full + stage, phase);
const unsigned char* const at = ring + stage * STAGE;
const unsigned long long a_tile = matrix_descriptor(at + first_part * 8192), b_tile = $BTILE;
wgmma_fence();
UNROLL
for (int step = 0; step < 4; ++step) {
UNROLL
for (int i = 0; i < MT; ++i) $MULTIPLY(d[i], a_tile + i * 512 + step * 2, b_tile + step * $BSTEP, block > first || step > 0);
}
wgmma_commit();
if (block > first) {
wgmma_wait<1>();
$RELEASE}
done = stage;
if (++stage == STAGES) stage = 0, phase ^= 1;
}
$AHEADif (SHARING < GROUPS && lane == 0) barrier_arrive(turns + (group ^ 1));
wgmma_wait<0>();
$RELEASE$LEAVE}
}
$SYNC)", holes);
  out.source += k.text();
  const Dim all = ceil_div(p.m, wide.bm) * ceil_div(p.n, t.bn) * product(p.batch) * Dim(t.cluster * t.splits);
  KernelLaunch launch = k.launch({min(all, Dim(t.blocks / t.cluster * t.cluster))}, {t.threads()}, shared_bytes(p, t));
  launch.cluster = t.cluster;
  out.recipe.launches.push_back(launch);
  return {};
}

}  // namespace tenon::cuda
