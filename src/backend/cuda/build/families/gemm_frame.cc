#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

const char* const kGemmPrelude = R"(// Where chunk `chunk` of row `row` lies in a tile, so that one chunk of 8 rows is in 8 different banks.
template <int CHUNKS>
DEVICE int swizzle(int row, int chunk) {
  return CHUNKS >= 8 ? chunk ^ (row & 7) : CHUNKS == 4 ? chunk ^ (row >> 1 & 3) : CHUNKS == 2 ? chunk ^ (row >> 2 & 1) : chunk;
}
)";

std::string sum_type(const Product& p) {
  // Integers wrap, which only unsigned ones may.
  switch (p.epilogue.sum) {
    case DType::f64: return "double";
    case DType::f32: return "float";
    case DType::i64:
    case DType::u64: return "unsigned long long";
    default: return "unsigned";
  }
}

static int sum_bytes(const Product& p) { return bits(p.epilogue.sum) == 64 ? 8 : 4; }

Dim parts_bytes(const Product& p, const Tile& t) {
  return t.splits > 1 ? product(p.batch) * p.m * p.n * Dim(t.splits * sum_bytes(p)) : Dim(0);
}

int result_vector(const Product& p) {
  if (!p.plane.is(0)) return 1;
  int vec = power_of_two_in(p.n, 128 / bits(p.epilogue.out));
  vec = std::min(vec, power_of_two_in(p.ldc, vec));
  for (const Dim& d : p.batch_c) vec = std::min(vec, power_of_two_in(d, vec));
  for (const Dim& d : p.batch_column) vec = std::min(vec, power_of_two_in(d, vec));
  return vec;
}

int run_length(const Matrix& x, int most) {
  int run = most;
  bool known = true;
  const auto take = [&](const Dim& d) {
    known = known && d.is_const();
    run = std::min(run, power_of_two_in(d, run));
  };
  for (const Dim& d : x.batch_strides) take(d);
  if (x.form == Matrix::pixels) {
    if (!x.image.channel_stride.is(1) || x.image.channel_major) return 1;
    take(x.image.channels);
    take(x.image.image_stride);
    for (const Dim& d : x.image.strides) take(d);
    return run;
  }
  take(x.ld);
  take(x.form == Matrix::columns ? x.row_limit : x.k_limit);
  return run == 1 && !known ? 0 : run;
}

GemmFrame::GemmFrame(const Product& product, const Tile& tile)
    : p(product), t(tile), k(t.splits > 1 && t.kind != Tile::rows ? p.name + "_parts" : p.name, tile.threads(),
        // Only where several blocks to a multiprocessor are worth more than registers is the choice the assembler's.
        tile.kind == Tile::wgmma || tile.kind == Tile::simt || product.type == DType::f32),
      run(t.kind == Tile::rows ? 1 : result_vector(p)) {
  const auto address = [&](const Matrix& x) {
    const std::string type = cat("const ", device_type(p.type), "*");
    return x.stored ? k.data(x.index, type) : k.input(x.index, type);
  };
  a = address(p.a);
  b = address(p.b);
  const bool parts = t.splits > 1 && t.kind != Tile::rows;
  out = parts ? k.scratch(0, sum_type(p) + "*") : k.output(0, device_type(p.epilogue.out) + "*");
}

std::string GemmFrame::constants() const {
  return fill(R"(constexpr int BM = $BM, BN = $BN, BK = $BK, THREADS = $THREADS, STAGES = $STAGES, SPLITS = $SPLITS, SIZE = $SIZE, E = 16 / SIZE, RUN = $RUN, QUAD = $QUAD;
using T = $T;
using Acc = $ACC;
using Index = $INDEX;
const int tid = threadIdx.x;
)", {{"BM", cat(t.bm)}, {"BN", cat(t.bn)}, {"BK", cat(t.bk)}, {"THREADS", cat(t.threads())}, {"STAGES", cat(t.stages)},
     {"SPLITS", cat(t.splits)}, {"SIZE", cat(bits(p.type) / 8)}, {"RUN", cat(run)},
     {"QUAD", cat(std::min(run, 16 / sum_bytes(p)))}, {"T", device_type(p.type)},
     {"ACC", sum_type(p)}, {"INDEX", p.wide ? "long long" : "int"}});
}

// The coordinates of `batch` along Product::batch, and the offsets that follow from them.
static std::string batch_text(KernelWriter& k, const Product& p, bool operands) {
  std::string text, index = "batch";
  std::vector<std::string> at(p.batch.size());
  for (size_t d = p.batch.size(); d-- > 0;) {
    at[d] = cat("batch", d);
    const std::string n = k.size(p.batch[d]);
    if (d == 0) {
      text += cat("const int ", at[d], " = ", index, ";\n");
    } else {
      text += cat("const int ", at[d], " = ", index, " % ", n, ", rest", d, " = ", index, " / ", n, ";\n");
      index = cat("rest", d);
    }
  }
  const auto sum = [&](const std::string& type, const std::string& name, const SymShape& strides) {
    std::string e;
    for (size_t d = 0; d < at.size(); ++d)
      if (!strides[d].is(0)) e += cat(e.empty() ? "" : " + ", "(", type, ")", at[d], " * ", k.size(strides[d]));
    text += cat("const ", type, " ", name, " = ", e.empty() ? "0" : e, ";\n");
  };
  if (operands) {
    sum("Index", "a_batch", p.a.batch_strides);
    sum("Index", "b_batch", p.b.batch_strides);
  }
  sum("Index", "c_batch", p.batch_c);
  sum("int", "column0", p.batch_column);
  return text;
}

Result<std::string> GemmFrame::position(const std::string& first) {
  std::string text = cat("const int M = ", k.size(p.m), ", N = ", k.size(p.n), ";\nint rank = ", first, ";\n");
  if (t.kind == Tile::rows) {
    text += "const int tiles = (N + BN - 1) / BN, batch = rank / tiles, col0 = (rank - batch * tiles) * BN;\n";
    return text + batch_text(k, p, true);
  }
  text += "const int tiles_m = (M + BM - 1) / BM, tiles_n = (N + BN - 1) / BN;\n";
  if (t.splits > 1) text += "const int split = rank % SPLITS;\nrank /= SPLITS;\n";
  if (!p.batch.empty()) text += "const int batch = rank / (tiles_m * tiles_n);\nrank -= batch * (tiles_m * tiles_n);\n";
  else text += "const int batch = 0;\n";
  // Blocks that run together share rows and columns: 8 rows of tiles, column by column.
  text += R"(const int band = rank / (8 * tiles_n) * 8, high = tiles_m - band < 8 ? tiles_m - band : 8, inside = rank - band * tiles_n;
const int row0 = (band + inside % high) * BM, col0 = inside / high * BN;
)";
  return text + batch_text(k, p, true);
}

std::string GemmFrame::range() const {
  std::string text = "const int blocks = (K + BK - 1) / BK;\n";
  if (t.splits == 1) return text + "const int first_block = 0, last_block = blocks;\n";
  return text + R"(const int share = (blocks + SPLITS - 1) / SPLITS, first_block = split * share;
const int last_block = first_block + share < blocks ? first_block + share : blocks;
)";
}

static Result<EpilogueSteps> finish_steps(KernelWriter& k, const Product& p, const std::string& out, int run) {
  std::string at;
  if (p.plane.is(0)) {
    at = cat("c_batch + (Index)row * ", k.size(p.ldc), " + column");
  } else {
    const std::string plane = k.size(p.plane);
    at = cat("c_batch + (Index)(row / ", plane, ") * ", k.size(p.ldc), " + (Index)column * ", plane, " + row % ", plane);
  }
  at = cat("const Index at = ", at, ";\n");
  EpilogueSteps steps = TRY(epilogue_steps(k, p.epilogue, {"c", "row", "(column0 + column)", "at", "Index", run}, out));
  if (!steps.read.empty()) steps.read = at + steps.read;
  steps.rest = at + steps.rest;
  return steps;
}

Result<EpilogueSteps> GemmFrame::finish() {
  if (t.splits == 1 || t.kind == Tile::rows) return finish_steps(k, p, out, run);
  // Parts lie as [split][batch][m][n].
  const std::string batches = k.size(product(p.batch));
  return EpilogueSteps{"", "", cat("Acc* const part = ", out, " + (((Index)split * ", batches, " + batch) * M + row) * N + column;\n",
                                   "UNROLL\nfor (int q = 0; q < RUN; q += QUAD) {\nVec<Acc, QUAD> stored;\n"
                                   "UNROLL\nfor (int j = 0; j < QUAD; ++j) stored.v[j] = c[q + j];\nstore_vec<QUAD>(part + q, stored);\n}\n")};
}

Result<std::string> GemmFrame::finish_tile(const std::string& rows, const std::string& row) {
  // Threads side by side store side by side.
  const char* place = p.plane.is(0) ? "const int r = item / (BN / RUN), column = col0 + item % (BN / RUN) * RUN;\n"
                                    : "const int r = item % ($ROWS), column = col0 + item / ($ROWS);\n";
  const Holes holes{{"ROWS", rows}, {"ROW", row}};
  return fill(cat("#pragma unroll 1\nfor (int item = tid; item < ($ROWS) * BN / RUN; item += THREADS) {\n", place), holes) +
         fill(R"(const int row = $ROW;
if (row < M && column < N) {
Acc c[RUN];
UNROLL
for (int q = 0; q < RUN; q += QUAD) {
const Vec<Acc, QUAD> part = load_vec<QUAD>(tile + r * PITCH + column - col0 + q);
UNROLL
for (int j = 0; j < QUAD; ++j) c[q + j] = part.v[j];
}
)", holes) + TRY(finish()).text() + "}\n}\n";
}

void GemmFrame::add_to(Program& out, std::string body) {
  k.body = std::move(body);
  out.source += k.text();
  const Dim tiles = ceil_div(p.m, t.bm) * ceil_div(p.n, t.bn) * product(p.batch);
  out.recipe.launches.push_back(k.launch({tiles * Dim(t.splits)}, {t.threads()}, shared_bytes(p, t)));
}

Status write_sum(const Product& p, const Tile& t, Program& out) {
  KernelWriter k(p.name, 256);
  const std::string parts = k.scratch(0, cat("const ", sum_type(p), "*")), to = k.output(0, device_type(p.epilogue.out) + "*");
  const Dim total = product(p.batch) * p.m * p.n;
  const int run = result_vector(p);
  k.body = fill(R"(using Acc = $ACC;
using Index = $INDEX;
constexpr int RUN = $RUN, QUAD = $QUAD, SPLITS = $SPLITS;
PDL_WAIT;
PDL_LAUNCH;
const Index total = $TOTAL, item = ((Index)blockIdx.x * 256 + threadIdx.x) * RUN;
if (item >= total) return;
const int M = $M, N = $N;
const Index line = item / N;
const int column = int(item - line * N), row = int(line % M), batch = int(line / M);
Acc c[RUN] = {};
UNROLL
for (int s = 0; s < SPLITS; ++s) {
UNROLL
for (int q = 0; q < RUN; q += QUAD) {
const Vec<Acc, QUAD> part = load_vec<QUAD>($PARTS + s * total + item + q);
UNROLL
for (int j = 0; j < QUAD; ++j) c[q + j] += part.v[j];
}
}
)", {{"ACC", sum_type(p)}, {"INDEX", p.wide ? "long long" : "int"}, {"RUN", cat(run)}, {"QUAD", cat(std::min(run, 16 / sum_bytes(p)))}, {"SPLITS", cat(t.splits)}, {"PARTS", parts},
     {"TOTAL", k.size(total, p.wide)}, {"M", k.size(p.m)}, {"N", k.size(p.n)}});
  k.body += batch_text(k, p, false) + TRY(finish_steps(k, p, to, run)).text();
  out.source += k.text();
  out.recipe.launches.push_back(k.launch({ceil_div(floor_div(total, run), 256)}, {256}));
  return {};
}

}  // namespace tenon::cuda
