// How the sums of a product on Hopper's tensor cores leave the registers: each warp has a corner of shared memory, through which
// rows are put together so that they are stored in whole vectors. What the elementwise part reads comes while products still run.
#include <algorithm>

#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

// Whether the elementwise part needs nothing but the column of a sum, so that it can be done where the sum is: results of 16
// bits are half of what sums are on their way through the corner, and many can be worked on at once. Plain sums take the other way:
// with this one the product of 8192 came out slower (585 of 635 TFLOP/s), for reasons that were not found.
static bool finishes_in_place(const GemmFrame& f) {
  const Epilogue& e = f.p.epilogue;
  const auto by_column = [](const EpilogueOperand& o) { return o.input < 0 || (!o.full && o.row.is(0) && (o.col.is(0) || o.col.is(1))); };
  const bool works = e.has_program || e.bias.input >= 0;
  return works && f.t.splits == 1 && f.run == 8 && bits(e.out) == 16 && f.p.plane.is(0) && by_column(e.bias) && std::all_of(e.operands.begin(), e.operands.end(), by_column);
}

static Result<WgmmaExit> finish_in_place(GemmFrame& f, bool spare_registers) {
  // Columns that leave at once. Where registers are few the work is written once for 32 of them, and the sums of the next ones move
  // there; unrolled it is faster, as more is under way at a time.
  const int chunk = f.t.bn % 64 == 0 && spare_registers ? 64 : 32;
  const EpilogueSteps steps = TRY(epilogue_steps(f.k, f.p.epilogue, {"c", "row", "(column0 + column)", "at", "Index", 2}, "corner"));
  // Rows of the corner begin in different banks.
  const Holes holes{{"CHUNK", cat(chunk)}, {"PITCH", cat(chunk + 8)}, {"TYPE", device_type(f.p.epilogue.out)}, {"LDC", f.k.size(f.p.ldc)}, {"OUT", f.out},
                    {"LOOP", spare_registers ? "UNROLL\n" : "#pragma unroll 1\n"}, {"FIRST", spare_registers ? "chunk * (CHUNK / 2)" : "0"},
                    {"MOVE", spare_registers ? "" : "UNROLL\nfor (int part = 0; part < MT; ++part)\nUNROLL\nfor (int i = 0; i + CHUNK / 2 < BN / 2; ++i) d[part][i] = d[part][i + CHUNK / 2];\n"},
                    {"FIELDS", steps.fields}, {"READ", steps.read}, {"FINISH", steps.rest}};
  WgmmaExit exit{device_type(f.p.epilogue.out), "", ""};
  exit.ahead = fill(R"(constexpr int CHUNK = $CHUNK, PITCH = $PITCH;
static_assert(16 * PITCH * sizeof($TYPE) <= CORNER);
struct Ahead {
$FIELDS};
Ahead all_ahead[CHUNK / 8];
const auto read_ahead = [&](int chunk) {
UNROLL
for (int q = 0; q < CHUNK / 8; ++q) {
const int row = 0, wanted = col0 + chunk * CHUNK + q * 8 + lane % 4 * 2, column = wanted < N ? wanted : N - 2;
Ahead& ahead = all_ahead[q];
$READ}
};
read_ahead(0);
)", holes);
  exit.rest = fill(R"($LOOP for (int chunk = 0; chunk < BN / CHUNK; ++chunk) {
UNROLL
for (int part = 0; part < MT; ++part) {
UNROLL
for (int q = 0; q < CHUNK / 8; ++q) {
Ahead& ahead = all_ahead[q];
UNROLL
for (int half_of = 0; half_of < 2; ++half_of) {
const float* const c = d[part] + $FIRST + q * 4 + half_of * 2;
const int at = (lane / 4 + half_of * 8) * PITCH + q * 8 + lane % 4 * 2;
$FINISH}
}
if (part == MT - 1 && chunk + 1 < BN / CHUNK) read_ahead(chunk + 1);
warp_sync();
UNROLL
for (int q = 0; q < CHUNK / 16; ++q) {
const int item = q * 32 + lane, r = item / (CHUNK / 8), u = item % (CHUNK / 8) * 8;
const int row = m_tile + (first_part + part) * 64 + warp * 16 + r, column = col0 + chunk * CHUNK + u;
if (row < M && column < N) store_vec<8>($OUT + c_batch + (Index)row * $LDC + column, load_vec<8>(corner + r * PITCH + u));
}
warp_sync();
}
$MOVE}
)", holes);
  return exit;
}

Result<WgmmaExit> wgmma_exit(GemmFrame& f, bool spare_registers) {
  if (finishes_in_place(f)) return finish_in_place(f, spare_registers);
  const EpilogueSteps steps = TRY(f.finish());
  const Holes holes{{"DEPTH", spare_registers ? "2" : "1"}, {"FIELDS", steps.fields}, {"READ", steps.read}, {"FINISH", steps.rest}};
  WgmmaExit exit{"float", "", ""};
  // A piece ahead, where registers are left.
  exit.ahead = fill(R"(constexpr int CHUNK = 32, PITCH = CHUNK + 8, PIECES = BN / CHUNK, ITEMS = (16 * CHUNK / RUN + 31) / 32, DEPTH = $DEPTH;
static_assert(16 * PITCH * sizeof(float) <= CORNER);
struct Ahead {
$FIELDS};
Ahead all_ahead[DEPTH][ITEMS];
const auto row_of = [&](int piece, int item) { return m_tile + (first_part + piece / PIECES) * 64 + warp * 16 + item / (CHUNK / RUN); };
const auto column_of = [&](int piece, int item) { return col0 + piece % PIECES * CHUNK + item % (CHUNK / RUN) * RUN; };
const auto read_ahead = [&](int piece) {
UNROLL
for (int q = 0; q < ITEMS; ++q) {
const int item = q * 32 + lane, row = row_of(piece, item), column = column_of(piece, item);
Ahead& ahead = all_ahead[piece % DEPTH][q];
if (item < 16 * CHUNK / RUN && row < M && column < N) {
$READ}
}
};
if (DEPTH > 1) read_ahead(0);
)", holes);
  exit.rest = fill(R"(UNROLL
for (int piece = 0; piece < MT * PIECES; ++piece) {
if (piece + DEPTH - 1 < MT * PIECES) read_ahead(piece + DEPTH - 1);
UNROLL
for (int j = 0; j < CHUNK / 8; ++j) {
const float* const s = d[piece / PIECES] + (piece % PIECES * (CHUNK / 8) + j) * 4;
float* const to = corner + lane / 4 * PITCH + j * 8 + lane % 4 * 2;
store_vec<2>(to, Vec<float, 2>{{s[0], s[1]}});
store_vec<2>(to + 8 * PITCH, Vec<float, 2>{{s[2], s[3]}});
}
warp_sync();
UNROLL
for (int q = 0; q < ITEMS; ++q) {
const int item = q * 32 + lane, row = row_of(piece, item), column = column_of(piece, item);
Ahead& ahead = all_ahead[piece % DEPTH][q];
if (item < 16 * CHUNK / RUN && row < M && column < N) {
Acc c[RUN];
UNROLL
for (int q = 0; q < RUN; q += QUAD) {
const Vec<Acc, QUAD> part = load_vec<QUAD>(corner + item / (CHUNK / RUN) * PITCH + item % (CHUNK / RUN) * RUN + q);
UNROLL
for (int j = 0; j < QUAD; ++j) c[q + j] = part.v[j];
}
$FINISH}
}
warp_sync();
}
)", holes);
  return exit;
}

}  // namespace tenon::cuda
