// Normalisations over rows that lie in one piece: Layer, RMS, Instance and Group normalisation, and
// Microsoft's forms that add a residual first. The mean is taken before the variance, both in float (of f64
// in double); a row is held in registers where it fits, else read three times.
#include <cmath>

#include "backend/cuda/build/families/rows.h"

namespace tenon::cuda {

namespace {
struct Norm {
  Dim rows = 1, n = 1;
  bool centred = true;  // the mean is taken away
  // Operands by number; -1: absent. `scale` and `bias` have an element for each of a row's, or for each
  // channel.
  int scale = -1, bias = -1;
  int skip = -1, skip_bias = -1;          // added to the row before
  int mean = -1, inverse = -1, sum = -1;  // further outputs
  Dim plane = 0, channels = 1,
      groups = 1;                   // by channel: its elements, channels of a row, rows of an instance
  SymShape skip_strides, row_dims;  // skip's, over the dimensions that make up the rows
  bool by_channel() const { return !plane.is(0); }
};
}  // namespace

static bool is_skip(const Node& n) {
  return ms_op_is(n, "SkipLayerNormalization") || ms_op_is(n, "SkipSimplifiedLayerNormalization");
}
static bool is_row_norm(const Node& n) {
  return op_is(n, "LayerNormalization") || op_is(n, "RMSNormalization") ||
         op_is(n, "SimplifiedLayerNormalization") || ms_op_is(n, "SimplifiedLayerNormalization");
}
static bool is_group_norm(const Node& n) {
  return op_is(n, "InstanceNormalization") || op_is(n, "GroupNormalization");
}

static bool concerns(const KernelRequest& r) {
  return is_row_norm(r.node) || is_group_norm(r.node) || is_skip(r.node);
}

static Result<Norm> describe(const KernelRequest& r, const OperandDims& dims) {
  const SymShape& x = dims.in(0);
  Norm m;
  const auto optional_input = [&](size_t i) { return present(r, i) ? int(i) : -1; };
  const auto optional_output = [&](size_t i) { return wanted(r, i) ? int(i) : -1; };
  if (is_group_norm(r.node)) {
    const bool instance = op_is(r.node, "InstanceNormalization");
    m.scale = 1, m.bias = 2;
    m.plane = product(x, 2);
    m.groups = instance ? x[1] : Dim(r.node.attrs.i("num_groups"));
    m.channels = instance ? Dim(1) : floor_div(x[1], m.groups);
    m.rows = x[0] * m.groups;
    m.n = m.channels * m.plane;
    if (m.plane.is(0)) m.rows = 0, m.plane = 1;
    return m;
  }
  const bool skip = is_skip(r.node);
  const size_t axis = skip ? x.size() - 1 : axis_of(r.node.attrs.i("axis"), x.size());
  m.rows = product(x, 0, axis);
  m.n = product(x, axis);
  m.centred = !op_is(r.node, "RMSNormalization") && r.node.op->name.find("Simplified") == std::string::npos;
  if (skip) {
    m.skip = 1, m.scale = 2;
    m.bias = m.centred ? optional_input(3) : -1;
    m.skip_bias = optional_input(m.centred ? 4 : 3);
    m.mean = optional_output(1), m.inverse = optional_output(2), m.sum = optional_output(3);
    m.row_dims = x;
    m.row_dims.pop_back();
    m.skip_strides = broadcast_strides(dims.in(1), x);
    if (!m.skip_strides.back().is(1) && !x.back().is(1))
      return unsupported("its skip is broadcast along the last dimension");
    m.skip_strides.pop_back();
  } else {
    m.scale = 1;
    if (op_is(r.node, "LayerNormalization"))
      m.bias = optional_input(2), m.mean = optional_output(1), m.inverse = optional_output(2);
    else
      m.inverse = optional_output(1);
  }
  for (int i : {m.scale, m.bias})
    if (i >= 0 && !(product(dims.in(size_t(i))) == m.n)) return unsupported("its scale is broadcast");
  return m;
}

// ---- the kernel -----------------------------------------------------------------------------------------

static const char kStart[] = R"(
const int lane = threadIdx.x % $LANES;
const unsigned row = blockIdx.x * $ROWSu + threadIdx.x / $LANES;
const bool live = row < $ROWCOUNT;
const unsigned base = (live ? row : 0u) * $N;
const int count = live ? $NINT : 0;
$SHARED$SKIPBASE)";

// Each loop is LOOP ... END: over what the thread holds, unrolled, or over all that it reads.
static const char kBody[] = R"({
  $HELD$A total = 0, squares = 0;
  $LOOP
    $LOAD
    UNROLL
    for (int k = 0; k < $VEC; ++k) $FIRST
  }
  $MEAN
  $SECOND
  squares = $REDUCESQUARES;
  const $A inverse = $ONE / $SQRT(squares / $A($NINT) + $EPSILON);
  if (live && lane == 0) {
    $STATISTICS
  }
  $LOOP
    $RELOAD
    $PARAMETERS
    Vec<$TY, $VEC> out;
    UNROLL
    for (int k = 0; k < $VEC; ++k) {
      $CHANNEL
      out.v[k] = narrow<$TY>(($ELEMENT - mean) * inverse$SCALE$BIAS);
    }
    store_vec<$VEC>($Y + base + c, out);
  }
}
)";

static std::string body(Holes h, bool held) {
  h["HELD"] = held ? fill("$A held[$PER];\n  ", h) : "";
  h["LOOP"] = held ? fill(R"(UNROLL
  for (int j = 0; j < $PER / $VEC; ++j) {
    const int c = (j * $LANES + lane) * $VEC;
    if (c >= count) continue;)",
                          h)
                   : fill("for (int c = lane * $VEC; c < count; c += $LANES * $VEC) {", h);
  h["ELEMENT"] = held ? "held[j * " + h["VEC"] + " + k]" : "v[k]";
  // The row as it is normalised: v[k], the sum with the residual where there is one.
  const std::string load = fill("$A v[$VEC];\n    $READ", h);
  h["LOAD"] = load + fill("$WRITESUM", h);
  h["RELOAD"] = held ? "" : load;
  const std::string keep = held ? h["ELEMENT"] + " = v[k]" : "";
  if (h["CENTRED"] == "1") {
    h["FIRST"] = "{ " + (held ? keep + "; " : "") + "total += v[k]; }";
    h["MEAN"] = fill("const $A mean = $REDUCETOTAL / $A($NINT);", h);
    h["SECOND"] = fill(R"($LOOP
    $RELOAD
    UNROLL
    for (int k = 0; k < $VEC; ++k) squares += ($ELEMENT - mean) * ($ELEMENT - mean);
  })",
                       h);
  } else {
    h["FIRST"] = "{ " + (held ? keep + "; " : "") + "squares += v[k] * v[k]; }";
    h["MEAN"] = fill("const $A mean = 0;", h);
    h["SECOND"] = "";
  }
  return fill(kBody, h);
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0), ty = out_type_of(r, 0);
  if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  Program program;
  TRY(index_with_32_bits(program.recipe, {dims.in(0)}));
  const Norm m = TRY(describe(r, dims));
  const RowCut cut = cut_rows(bits(ty) > bits(t) ? ty : t, m.rows, m.n);
  const bool wide = t == DType::f64;
  KernelWriter k("normalize", cut.threads);
  Holes h;
  h["A"] = wide ? "double" : "float";
  h["ONE"] = wide ? "1.0" : "1.f";
  h["SQRT"] = wide ? "sqrt" : "sqrtf";
  const double epsilon = double(r.node.attrs.f("epsilon"));
  h["EPSILON"] = wide ? double_literal(epsilon) : float_literal(epsilon);
  h["TY"] = device_type(ty);
  h["CENTRED"] = m.centred ? "1" : "0";
  const std::string x = k.input(0, cat("const ", device_type(t), "*"));
  h["Y"] = k.output(0, device_type(ty) + "*");
  h["N"] = unsigned_size(k, m.n), h["NINT"] = k.size(m.n), h["ROWCOUNT"] = unsigned_size(k, m.rows);
  add_row_cut(h, cut, h["A"]);
  h["REDUCETOTAL"] = reduce_row(cut, "total", "Sum", 0);
  h["REDUCESQUARES"] = reduce_row(cut, "squares", "Sum", 1);

  // v[k] = the element, with what is added to it.
  const auto vector_of = [&](DType type, const std::string& name, const std::string& at) {
    return cat("const Vec<", device_type(type), ", ", cut.vec, "> ", name, " = load_vec<", cut.vec, ">(", at,
               ");\n    ");
  };
  std::string read = vector_of(t, "w", x + " + base + c"), sum = loaded(t, h["A"], "w.v[k]");
  h["SKIPBASE"] = "";
  if (m.skip >= 0) {
    std::string start;
    const auto at = unravel(k, m.row_dims, "(live ? row : 0u)", "s", start);
    const std::string p = k.input(m.skip, cat("const ", device_type(t), "*"));
    h["SKIPBASE"] = cat(start, "const unsigned skip_base = ", offset_of(k, at, m.skip_strides), ";\n");
    read += vector_of(t, "s", p + " + skip_base + c");
    sum += " + " + loaded(t, h["A"], "s.v[k]");
  }
  if (m.skip_bias >= 0) {
    const std::string p = k.input(m.skip_bias, cat("const ", device_type(t), "*"));
    read += vector_of(t, "b", p + " + c");
    sum += " + " + loaded(t, h["A"], "b.v[k]");
  }
  h["READ"] = cat(read, "UNROLL\n    for (int k = 0; k < ", cut.vec, "; ++k) v[k] = ", sum, ";\n    ");
  h["WRITESUM"] = "";
  if (m.sum >= 0) {
    const std::string p = k.output(m.sum, device_type(t) + "*");
    h["WRITESUM"] = fill(
        "Vec<$T, $VEC> kept;\n    UNROLL\n    for (int k = 0; k < $VEC; ++k) kept.v[k] = narrow<$T>(v[k]);\n"
        "    store_vec<$VEC>($P + base + c, kept);\n    ",
        {{"T", device_type(t)}, {"VEC", cat(cut.vec)}, {"P", p}});
  }
  h["STATISTICS"] = "";
  for (auto [output, what] : {std::pair(m.mean, "mean"), std::pair(m.inverse, "inverse")})
    if (output >= 0) {
      const std::string type = device_type(out_type_of(r, size_t(output)));
      h["STATISTICS"] += cat(k.output(output, type + "*"), "[row] = narrow<", type, ">(", what, ");\n    ");
    }

  // Scale and bias by the element's place in the row, or by its channel.
  h["CHANNEL"] = "const int channel = c + k;";
  if (m.by_channel()) {
    const std::string group = m.groups.is(1) ? "0u" : cat("row % ", unsigned_size(k, m.groups));
    h["CHANNEL"] = cat("const unsigned channel = ", group, " * ", unsigned_size(k, m.channels),
                       m.channels.is(1) ? "" : cat(" + unsigned(c + k) / ", unsigned_size(k, m.plane)), ";");
  }
  h["PARAMETERS"] = "";
  const auto parameter = [&](int i, const char* op) {
    if (i < 0) return std::string();
    const DType type = type_of(r, size_t(i));
    const std::string p = k.input(i, cat("const ", device_type(type), "*"));
    if (m.by_channel() || bits(type) * cut.vec > 128) return op + loaded(type, h["A"], p + "[channel]");
    h["PARAMETERS"] += vector_of(type, "of_" + p, p + " + c");
    return op + loaded(type, h["A"], cat("of_", p, ".v[k]"));
  };
  h["SCALE"] = parameter(m.scale, " * ");
  h["BIAS"] = parameter(m.bias, " + ");

  k.body = fill(kStart, h);
  if (cut.holds(m.n))
    k.body += body(h, true);
  else if (cut.per == 0)
    k.body += body(h, false);
  else
    k.body +=
        cat("if (", h["NINT"], " <= ", cut.lanes * cut.per, ")\n", body(h, true), "else\n", body(h, false));
  program.variant = cat("norm.", cut.lanes <= 32 ? "warp" : cut.holds(m.n) ? "block" : "long");
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(m.rows, cut.rows())}, {cut.threads})};
  return program;
}

extern const Family kNorm{"norm", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
