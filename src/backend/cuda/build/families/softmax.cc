// Softmax and LogSoftmax. Rows that lie in one piece are held in registers, by part of a warp or by a block,
// so that they are read once; longer rows are read three times. Along other axes neighbouring columns are
// done by neighbouring lanes. Sums are float, of f64 double.
#include "backend/cuda/build/families/rows.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "Softmax") || op_is(r.node, "LogSoftmax");
}

namespace {
struct Shape {
  DType type;
  bool log;
  AxisView view;
};
}  // namespace

// exp(v - top), and what becomes of an element once `sum` is known.
static void add_formulas(Holes& h, const Shape& s) {
  const bool wide = s.type == DType::f64, narrow = bits(s.type) < 32;
  h["T"] = device_type(s.type);
  h["A"] = wide ? "double" : "float";
  h["MINUSINF"] = wide ? "double(-INFINITE)" : "-INFINITE";
  const std::string exp = wide     ? "exp("
                          : narrow ? "fast_exp2(1.44269504f * ("
                                   : "expf(",
                    end = narrow ? "))" : ")";
  h["EXPOPEN"] = exp, h["EXPCLOSE"] = end;
  if (s.log) {
    h["FINISH"] = cat("const ", h["A"], " shift = ", wide ? "log(sum)" : "logf(sum)", ";\n");
    h["RESULT"] = "v - top - shift";
  } else {
    h["FINISH"] = cat("const ", h["A"], " scale = ", wide ? "1.0" : "1.f", " / sum;\n");
    h["RESULT"] = exp + "v - top" + end + " * scale";
  }
}

// ---- rows in one piece ----------------------------------------------------------------------------------

static const char kRowStart[] = R"(
const int lane = threadIdx.x % $LANES;
const unsigned row = blockIdx.x * $ROWSu + threadIdx.x / $LANES;
const bool live = row < $ROWCOUNT;
const $T* x = $X + (live ? row : 0u) * $N;
$T* y = $Y + (live ? row : 0u) * $N;
$SHARED)";

// The row in registers.
static const char kHeld[] = R"({
  $A held[$PER], top = $MINUSINF, sum = 0;
  UNROLL
  for (int j = 0; j < $PER / $VEC; ++j) {
    const int c = (j * $LANES + lane) * $VEC;
    if (live && c < $NINT) {
      const Vec<$T, $VEC> w = load_vec<$VEC>(x + c);
      UNROLL
      for (int k = 0; k < $VEC; ++k) held[j * $VEC + k] = $WK;
    } else {
      UNROLL
      for (int k = 0; k < $VEC; ++k) held[j * $VEC + k] = $MINUSINF;
    }
  }
  UNROLL
  for (int j = 0; j < $PER; ++j) top = max_nan(top, held[j]);
  top = $REDUCEMAX;
  UNROLL
  for (int j = 0; j < $PER; ++j) {
    const $A v = held[j], e = $EXPOPEN v - top$EXPCLOSE;
    sum += e;
    $KEEP
  }
  sum = $REDUCESUM;
  $FINISH
  UNROLL
  for (int j = 0; j < $PER / $VEC; ++j) {
    const int c = (j * $LANES + lane) * $VEC;
    if (live && c < $NINT) {
      Vec<$T, $VEC> w;
      UNROLL
      for (int k = 0; k < $VEC; ++k) {
        const $A v = held[j * $VEC + k];
        w.v[k] = narrow<$T>($HELDRESULT);
      }
      store_vec<$VEC>(y + c, w);
    }
  }
}
)";

// The row read three times.
static const char kStreamed[] = R"({
  $A top = $MINUSINF, sum = 0;
  for (int c = lane * $VEC; c < $NINT; c += $LANES * $VEC) {
    const Vec<$T, $VEC> w = load_vec<$VEC>(x + c);
    UNROLL
    for (int k = 0; k < $VEC; ++k) top = max_nan(top, $WK);
  }
  top = $REDUCEMAX;
  for (int c = lane * $VEC; c < $NINT; c += $LANES * $VEC) {
    const Vec<$T, $VEC> w = load_vec<$VEC>(x + c);
    UNROLL
    for (int k = 0; k < $VEC; ++k) {
      const $A v = $WK;
      sum += $EXPOPEN v - top$EXPCLOSE;
    }
  }
  sum = $REDUCESUM;
  $FINISH
  for (int c = lane * $VEC; c < $NINT; c += $LANES * $VEC) {
    Vec<$T, $VEC> w = load_vec<$VEC>(x + c);
    UNROLL
    for (int k = 0; k < $VEC; ++k) {
      const $A v = $WK;
      w.v[k] = narrow<$T>($RESULT);
    }
    store_vec<$VEC>(y + c, w);
  }
}
)";

static void write_rows(Program& program, const Shape& s) {
  const Dim& n = s.view.n;
  const RowCut cut = cut_rows(s.type, s.view.outer, n);
  KernelWriter k("softmax", cut.threads);
  Holes h;
  add_formulas(h, s);
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["ROWCOUNT"] = unsigned_size(k, s.view.outer);
  h["N"] = unsigned_size(k, n);
  h["NINT"] = k.size(n);
  h["WK"] = loaded(s.type, h["A"], "w.v[k]");
  h["KEEP"] = s.log ? "" : "held[j] = e;";
  h["HELDRESULT"] = s.log ? h["RESULT"] : "v * scale";
  add_row_cut(h, cut, h["A"]);
  h["REDUCEMAX"] = reduce_row(cut, "top", "Max", 0);
  h["REDUCESUM"] = reduce_row(cut, "sum", "Sum", 1);
  k.body = fill(kRowStart, h);
  if (cut.holds(n))
    k.body += fill(kHeld, h);
  else if (cut.per == 0)
    k.body += fill(kStreamed, h);
  else
    k.body += cat("if (", h["NINT"], " <= ", cut.lanes * cut.per, ")\n", fill(kHeld, h), "else\n",
                  fill(kStreamed, h));
  program.variant = cut.rows() > 1 || cut.lanes == 32 ? "softmax.warp"
                    : cut.holds(n)                    ? "softmax.block"
                                                      : "softmax.long";
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(s.view.outer, cut.rows())}, {cut.threads})};
}

// ---- other axes -----------------------------------------------------------------------------------------

// A block is COLUMNS columns by PARTS parts of the axis.
static const char kColumns[] = R"(
const int tx = threadIdx.x % $COLUMNS, ty = threadIdx.x / $COLUMNS;
const unsigned column = blockIdx.x * $COLUMNSu + tx;
const bool live = column < $ALL;
const unsigned outer = column / $INNER, start = live ? outer * $N * $INNER + (column - outer * $INNER) : 0u;
const $T* x = $X + start;
$T* y = $Y + start;
const unsigned count = live ? $N : 0u;
$A top = $MINUSINF, sum = 0;
for (unsigned i = ty; i < count; i += $PARTSu) {
  const $A v = $XI;
  top = max_nan(top, v);
}
$COMBINETOP
for (unsigned i = ty; i < count; i += $PARTSu) {
  const $A v = $XI;
  sum += $EXPOPEN v - top$EXPCLOSE;
}
$COMBINESUM
$FINISH
for (unsigned i = ty; i < count; i += $PARTSu) {
  const $A v = $XI;
  y[i * $INNER] = narrow<$T>($RESULT);
}
)";

static std::string combine(const std::string& name, const std::string& one, const Holes& h) {
  Holes g = h;
  g["NAME"] = name;
  g["ONE"] = one;
  return fill(R"(__shared__ $A part_$NAME[$PARTS][$COLUMNS];
part_$NAME[ty][tx] = $NAME;
__syncthreads();
$NAME = part_$NAME[0][tx];
UNROLL
for (int p = 1; p < $PARTS; ++p) $NAME = $ONE;
)",
              g);
}

static void write_columns(Program& program, const Shape& s) {
  const AxisView& v = s.view;
  const int parts = v.n.is_const() ? power_of_two_from((v.n.constant() + 7) / 8, 8) : 8,
            columns = 256 / parts;
  KernelWriter k("softmax", 256);
  Holes h;
  add_formulas(h, s);
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["ALL"] = unsigned_size(k, v.outer * v.inner);
  h["N"] = unsigned_size(k, v.n);
  h["INNER"] = unsigned_size(k, v.inner);
  h["COLUMNS"] = cat(columns);
  h["PARTS"] = cat(parts);
  h["XI"] = loaded(s.type, h["A"], cat("x[i * ", h["INNER"], "]"));
  h["COMBINETOP"] = parts == 1 ? "" : combine("top", "max_nan(top, part_top[p][tx])", h);
  h["COMBINESUM"] = parts == 1 ? "" : combine("sum", "sum + part_sum[p][tx]", h);
  k.body = fill(kColumns, h);
  program.variant = "softmax.columns";
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(v.outer * v.inner, columns)}, {256})};
}

// ---- the family -----------------------------------------------------------------------------------------

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  const Shape s{t, op_is(r.node, "LogSoftmax"), view_around(x, axis_of(r.node.attrs.i("axis"), x.size()))};
  if (s.view.inner.is(1))
    write_rows(program, s);
  else
    write_columns(program, s);
  return program;
}

extern const Family kSoftmax{"softmax", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
