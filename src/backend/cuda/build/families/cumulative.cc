// CumSum and CumProd along a constant axis. A row in one piece is scanned by a block, tile after tile; along
// other axes each thread runs down a column. Floats run in float (f64 in double), integers in 64 bits.
#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "CumSum") || op_is(r.node, "CumProd");
}

static const char kColumns[] = R"(
const unsigned column = blockIdx.x * 256u + threadIdx.x;
if (column >= $COLUMNS) return;
const unsigned outer = column / $INNER, start = outer * $N * $INNER + (column - outer * $INNER);
$A running = $FIRST;
for (unsigned i = 0; i < $N; ++i) {
  const unsigned at = start + $PLACE * $INNER;
  const $A before = running;
  running = running $OP $LOAD;
  $Y[at] = narrow<$T>($RESULT);
}
)";

// A thread has EACH neighbours of a tile.
static const char kRows[] = R"(
__shared__ $A totals[8];
const unsigned start = blockIdx.x * $N;
const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
$A carry = $FIRST;
for (unsigned tile = 0; tile < $N; tile += 256u * $EACHu) {
  const unsigned first = tile + threadIdx.x * $EACHu;
  $A own[$EACH], sum = $FIRST;
  UNROLL
  for (int j = 0; j < $EACH; ++j) {
    const unsigned i = first + j, at = start + $PLACE;
    own[j] = i < $N ? $LOAD : $A($FIRST);
    sum = sum $OP own[j];
  }
  // The sum of the lanes up to this one, then of those before.
  UNROLL
  for (int lanes = 1; lanes < 32; lanes *= 2) {
    const $A other = shuffle_up(sum, lanes);
    if (lane >= lanes) sum = other $OP sum;
  }
  if (lane == 31) totals[warp] = sum;
  $A running = shuffle_up(sum, 1);
  if (lane == 0) running = $FIRST;
  __syncthreads();
  $A front = carry;
  for (int w = 0; w < 8; ++w) {
    if (w < warp) front = front $OP totals[w];
    carry = carry $OP totals[w];
  }
  running = front $OP running;
  UNROLL
  for (int j = 0; j < $EACH; ++j) {
    const unsigned i = first + j, at = start + $PLACE;
    const $A before = running;
    running = running $OP own[j];
    if (i < $N) $Y[at] = narrow<$T>($RESULT);
  }
  __syncthreads();
}
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (!kNumeric.contains(t)) return unsupported("no kernel for ", name(t));
  const auto axis = constant_ints(r, 1);
  if (!axis) return unsupported("its axis is computed at run time");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  const AxisView v = view_around(x, axis_of((*axis)[0], x.size()));
  const bool rows = v.inner.is(1) && !(v.n.is_const() && v.n.constant() <= 32);
  KernelWriter k("cumulative", 256);
  const bool product = op_is(r.node, "CumProd");
  Holes h{{"A", is_float(t) ? compute_type(t) : "Wide"},
          {"T", device_type(t)},
          {"FIRST", product ? "1" : "0"},
          {"OP", product ? "*" : "+"},
          {"EACH", "4"}};
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["N"] = unsigned_size(k, v.n), h["INNER"] = unsigned_size(k, v.inner),
  h["COLUMNS"] = unsigned_size(k, v.outer * v.inner);
  h["PLACE"] = r.node.attrs.i("reverse") ? fill("($N - 1u - i)", h) : "i";
  h["LOAD"] = loaded(t, h["A"], h["X"] + "[at]");
  h["RESULT"] = r.node.attrs.i("exclusive") ? "before" : "running";
  k.body = fill(rows ? kRows : kColumns, h);
  program.variant = rows ? "cumulative.rows" : "cumulative.columns";
  program.source = "typedef unsigned long long Wide;\n" + k.text();
  program.recipe.launches = {k.launch({rows ? v.outer : blocks_for(v.outer * v.inner)}, {256})};
  return program;
}

extern const Family kCumulative{"cumulative", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
