// Transpose. Runs that stay together are copied as they are; else tiles go through shared memory, so that
// both reads and writes are of neighbours.
#include "backend/cuda/build/families/common.h"
#include "backend/cuda/build/families/strided.h"

namespace tenon::cuda {

static const char kTile[] = R"(
__shared__ $T tile[$TILE][$TILE + 1];
unsigned rest = blockIdx.x;
const unsigned tile_a = rest % $TILESA;
rest /= $TILESA;
const unsigned tile_b = rest % $TILESB;
rest /= $TILESB;
$BATCHAT
const unsigned from = $FROM, to = $TO;
const unsigned tx = threadIdx.x % $TILEu, ty = threadIdx.x / $TILEu;
UNROLL
for (unsigned j = 0; j < $TILEu; j += $ROWSu) {
  const unsigned a = tile_a * $TILEu + ty + j, b = tile_b * $TILEu + tx;
  if (a < $A && b < $B) tile[ty + j][tx] = $X[from + a * $STEPA + b];
}
__syncthreads();
UNROLL
for (unsigned j = 0; j < $TILEu; j += $ROWSu) {
  const unsigned a = tile_a * $TILEu + tx, b = tile_b * $TILEu + ty + j;
  if (a < $A && b < $B) $Y[to + b * $STEPB + a] = tile[tx][ty + j];
}
)";

// The loop's last dimension, `a`, is contiguous in the output, its dimension `b` in the input.
static void write_tiles(Program& program, const StridedCopy& c, size_t b) {
  const int tile = c.bytes <= 2 ? 64 : 32;
  const size_t a = c.dims.size() - 1;
  KernelWriter k("transpose", 256);
  Holes h{{"T", unit_type(c.bytes)}, {"TILE", cat(tile)}, {"ROWS", cat(256 / tile)}};
  const Dim tiles_a = ceil_div(c.dims[a], tile), tiles_b = ceil_div(c.dims[b], tile);
  SymShape batch, from, to;
  for (size_t d = 0; d < c.dims.size(); ++d)
    if (d != a && d != b) batch.push_back(c.dims[d]), from.push_back(c.from[d]), to.push_back(c.to[d]);
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["TILESA"] = unsigned_size(k, tiles_a), h["TILESB"] = unsigned_size(k, tiles_b);
  h["A"] = unsigned_size(k, c.dims[a]), h["B"] = unsigned_size(k, c.dims[b]);
  h["STEPA"] = unsigned_size(k, c.from[a]), h["STEPB"] = unsigned_size(k, c.to[b]);
  h["BATCHAT"] = "";
  const auto at = unravel(k, batch, "rest", "d", h["BATCHAT"]);
  h["FROM"] = offset_of(k, at, from), h["TO"] = offset_of(k, at, to);
  k.body = fill(kTile, h);
  program.variant = "transpose.tile";
  program.source = k.text();
  program.recipe.launches = {k.launch({tiles_a * tiles_b * product(batch)}, {256})};
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(0), strides = sym_row_major_strides(x);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  Ints perm = r.node.attrs.ints("perm");
  if (!r.node.attrs.has("perm"))
    for (int64_t i = int64_t(x.size()); i-- > 0;) perm.push_back(i);
  StridedCopy c;
  c.bytes = bytes;
  for (int64_t p : perm) c.dims.push_back(x[size_t(p)]), c.from.push_back(strides[size_t(p)]);
  c.to = sym_row_major_strides(c.dims);
  c = collapsed(c);
  // Tiles pay where neither run is short.
  size_t b = c.dims.size();
  for (size_t d = 0; d + 1 < c.dims.size(); ++d)
    if (c.from[d].is(1)) b = d;
  const auto is_short = [](const Dim& d) { return d.is_const() && d.constant() < 8; };
  if (b == c.dims.size() || is_short(c.dims.back()) || is_short(c.dims[b])) {
    write_strided(program, "transpose", c);
    program.variant = "transpose.copy";
  } else {
    write_tiles(program, c, b);
  }
  return program;
}

extern const Family kTranspose{"transpose", [](const KernelRequest& r) { return op_is(r.node, "Transpose"); },
                               can_generate<generate>, generate};

}  // namespace tenon::cuda
