// Resize in all modes. Where the sizes are known, each axis has a table of the places it reads and their
// weights, the operator's own; else the kernel computes them. Interpolation is in float (of f64 in double).
#include "ops/common/resize.h"

#include <algorithm>

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

namespace {
// One axis that changes: `taps` places are read for each output; texts for tap number `a` of output `o`.
struct Axis {
  size_t dim;
  int taps = 1;
  std::string prologue;  // statements
  bool whole = false;    // of the last axis: the prologue is for all outputs of a thread, number q of them is meant by the texts
  std::string place, weight;
};
}  // namespace

// ---- tables ---------------------------------------------------------------------------------------------

static bool keeps(const std::vector<Taps>& table, int64_t in) {
  if (int64_t(table.size()) != in) return false;
  for (size_t o = 0; o < table.size(); ++o)
    if (table[o].size() != 1 || table[o][0].index != int64_t(o) || table[o][0].weight != 1) return false;
  return true;
}

// Absent taps get weight 0; an output outside of the input has place -1.
// `run` > 1: for that many outputs behind each other, from `first` on, whose entries are read at once.
static Status add_table(Program& program, KernelWriter& k, Axis& axis, const std::vector<Taps>& table,
                        bool weighted, DType weights, const std::string& o, int run) {
  for (const Taps& t : table) axis.taps = std::max(axis.taps, int(t.size()));
  const int64_t n = int64_t(table.size()) * axis.taps;
  Tensor places = TRY(Tensor::allocate(DType::i32, {n})), factors = TRY(Tensor::allocate(weights, {n}));
  for (size_t i = 0; i < table.size(); ++i)
    for (int j = 0; j < axis.taps; ++j) {
      const Taps& t = table[i];
      const int64_t at = int64_t(i) * axis.taps + j;
      places.set_int(at, t.empty() ? -1 : t[std::min(size_t(j), t.size() - 1)].index);
      factors.set(at, size_t(j) < t.size() ? t[size_t(j)].weight : 0);
    }
  constexpr int kMostEntries = 16;  // in registers
  axis.whole = run > 1 && run * axis.taps <= kMostEntries;
  // The text for tap a of an output in a table of `type`.
  const auto add = [&](const Tensor& t, const std::string& type, const std::string& name) {
    const std::string from = k.data(int(program.data.size()), cat("const ", type, "*"));
    program.data.push_back(t);
    if (!axis.whole) return cat(from, "[", axis.taps == 1 ? o : cat(o, " * ", axis.taps, "u + a", axis.dim), "]");
    const int entries = run * axis.taps, vec = power_of_two_in(Dim(entries), 128 / bits(t.dtype()));
    axis.prologue += fill(R"($T $NAME[$N];
UNROLL
for (int j = 0; j < $N; j += $VEC) {
  const Vec<$T, $VEC> some = load_vec<$VEC>($FROM + first * $TAPSu + j);
  UNROLL
  for (int e = 0; e < $VEC; ++e) $NAME[j + e] = some.v[e];
}
)", {{"T", type}, {"NAME", name}, {"N", cat(entries)}, {"VEC", cat(vec)}, {"FROM", from}, {"TAPS", cat(axis.taps)}});
    return cat(name, "[q", axis.taps == 1 ? "" : cat(" * ", axis.taps, " + a", axis.dim), "]");
  };
  axis.place = add(places, "int", cat("place", axis.dim));
  if (weighted) axis.weight = add(factors, weights == DType::f64 ? "double" : "float", cat("weight", axis.dim));
  return {};
}

// ---- computed places ------------------------------------------------------------------------------------

static const char kHelpers[] = R"(
template <class F>
DEVICE F filter_linear(F x) {
  x = x < 0 ? -x : x;
  return x < 1 ? 1 - x : F(0);
}
template <class F>
DEVICE F filter_cubic(F x, F a) {
  x = x < 0 ? -x : x;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : F(0);
}
)";

// The place in the input of output o, in `type`.
static std::string source(ResizeMode::Coords c, const std::string& type) {
  const Holes h{{"F", type}};
  switch (c) {
    case ResizeMode::half_pixel:
      return fill("(x + $F(0.5)) / scale - $F(0.5)", h);
    case ResizeMode::half_pixel_symmetric:
      return fill("$F(in) / 2 * (1 - $F(out) / width) + (x + $F(0.5)) / scale - $F(0.5)", h);
    case ResizeMode::pytorch_half_pixel:
      return fill("out > 1 ? (x + $F(0.5)) / scale - $F(0.5) : $F(0)", h);
    case ResizeMode::align_corners:
      return fill("x == 0 || width == 1 ? $F(0) : x * $F(in - 1) / (width - 1)", h);
    case ResizeMode::asymmetric:
      return "x / scale";
    case ResizeMode::tf_half_pixel_for_nn:
      return fill("(x + $F(0.5)) / scale", h);
    default:
      return "";
  }
}

static void add_computed(KernelWriter& k, Axis& axis, const ResizeMode& mode, const Dim& in, const Dim& out,
                         const std::string& scale, const std::string& o) {
  const bool nearest = mode.kind == ResizeMode::nearest;
  axis.taps = nearest ? 1 : mode.kind == ResizeMode::linear ? 2 : 4;
  // As in the reference: nearest decides in float.
  Holes h{{"F", nearest ? "float" : "double"},
          {"D", cat(axis.dim)},
          {"IN", k.size(in)},
          {"OUT", k.size(out)},
          {"SCALE", scale},
          {"O", o}};
  h["SOURCE"] = source(mode.coords, h["F"]);
  h["TAPS"] = cat(axis.taps), h["FIRST"] = mode.kind == ResizeMode::cubic ? "1" : "0";
  h["FILTER"] = mode.kind == ResizeMode::cubic ? cat("filter_cubic(d, ", double_literal(mode.cubic_a), ")")
                                               : "filter_linear(d)";
  static constexpr const char* kRounds[] = {"ceil(s - 0.5)", "floor(s + 0.5)", "floor(s)", "ceil(s)"};
  h["ROUND"] = kRounds[mode.round];
  h["OUTSIDE"] = mode.exclude_outside ? "if (i < 0 || i >= in) w = 0;\n    sum += w;" : "";
  h["NORMALISE"] =
      mode.exclude_outside
          ? fill("UNROLL\n  for (int j = 0; j < $TAPS; ++j) weight$D[j] = sum != 0 ? weight$D[j] / sum : 0;",
                 h)
          : "";
  const std::string start = fill(R"(  const int in = $IN, out = $OUT;
  const $F x = $F($O), scale = $F($SCALE), width = scale * $F(in);
  (void)out, (void)width;
)",
                                 h);
  axis.prologue =
      nearest ? fill("int place$D;\n{\n", h) + start +
                    fill(R"(  const double s = double($SOURCE), nearest = $ROUND, last = double(in - 1);
  place$D = int(nearest < 0 ? 0 : nearest > last ? last : nearest);
}
)",
                         h)
              : fill("int place$D[$TAPS];\ndouble weight$D[$TAPS];\n{\n", h) + start +
                    fill(R"(  const double s = $SOURCE, below = floor(s);
  double sum = 0;
  (void)sum;
  UNROLL
  for (int j = 0; j < $TAPS; ++j) {
    const double i = below + (j - $FIRST), d = i - s;
    double w = $FILTER;
    $OUTSIDE
    weight$D[j] = w;
    place$D[j] = int(i < 0 ? 0 : i > in - 1 ? in - 1 : i);
  }
  $NORMALISE
}
)",
                         h);
  axis.place = nearest ? cat("place", axis.dim) : cat("place", axis.dim, "[a", axis.dim, "]");
  if (!nearest) axis.weight = cat("weight", axis.dim, "[a", axis.dim, "]");
}

// ---- the kernel -----------------------------------------------------------------------------------------

// The numbers of a constant input; empty where it is none.
static std::vector<double> constants(const KernelRequest& r, size_t i) {
  if (!present(r, i) || !r.graph.is_constant(r.node.inputs[i])) return {};
  return r.graph.constant(r.node.inputs[i]).to_doubles();
}

static Result<std::vector<Axis>> axes_of(const KernelRequest& r, const OperandDims& dims,
                                         const ResizeMode& mode, Program& program, KernelWriter& k,
                                         DType weights, const std::vector<std::string>& at, int run) {
  const SymShape &x = dims.in(0), &y = dims.out(0);
  const std::vector<double> scales = constants(r, 2), roi = constants(r, 1);
  const bool weighted = mode.kind != ResizeMode::nearest,
             by_scale = present(r, 2) && dims.in(2) != SymShape{0};
  const std::optional<Ints> sizes = by_scale ? std::nullopt : constant_ints(r, 3);
  std::vector<Axis> axes;
  const auto shape = to_concrete(x);
  if (shape && (by_scale ? !scales.empty() : sizes.has_value()) &&
      (mode.coords != ResizeMode::tf_crop || !roi.empty())) {
    const auto plan = TRY(resize_plan(r.node.attrs, mode, *shape, roi, scales, sizes ? *sizes : Ints()));
    for (size_t d = 0; d < x.size(); ++d) {
      if (plan[d].in == 0) continue;
      auto table = resize_table(mode, plan[d]);
      for (Taps& taps : table)
        if (taps.size() > 1) std::erase_if(taps, [](const Tap& t) { return t.weight == 0; });
      if (keeps(table, plan[d].in)) continue;
      axes.push_back({.dim = d});
      TRY(add_table(program, k, axes.back(), table, weighted, weights, at[d], d + 1 == x.size() ? run : 1));
    }
    return axes;
  }
  if (mode.antialias) return unsupported("antialiased resizing needs sizes known at build time");
  if (mode.coords == ResizeMode::tf_crop)
    return unsupported("tf_crop_and_resize needs sizes known at build time");
  if (mode.aspect != ResizeMode::stretch && !by_scale)
    return unsupported("keep_aspect_ratio_policy needs sizes known at build time");
  if (by_scale && scales.empty()) return unsupported("its scales are computed at run time");
  const std::vector<size_t> resized = TRY(resize_axes(r.node.attrs, x.size()));
  std::vector<double> scale(x.size(), 1);
  for (size_t i = 0; by_scale && i < resized.size(); ++i) scale[resized[i]] = scales[i];
  // Of a dimension that keeps its size, one mode may still read the next element.
  const bool shifts = mode.coords == ResizeMode::tf_half_pixel_for_nn &&
                      (mode.round == ResizeMode::prefer_ceil || mode.round == ResizeMode::ceil);
  for (size_t d = 0; d < x.size(); ++d) {
    if ((by_scale ? scale[d] == 1 : x[d] == y[d]) && !shifts) continue;
    axes.push_back({.dim = d});
    const std::string text = by_scale ? double_literal(scale[d])
                                      : cat("(double(", k.size(y[d]), ") / double(", k.size(x[d]), "))");
    add_computed(k, axes.back(), mode, x[d], y[d], text, at[d]);
  }
  return axes;
}

// `vec` neighbours of the last dimension move together; nothing where that dimension changes too. With `vec` 1, a thread has `run`
// neighbours in turn, which share what the other dimensions need, and are stored at once.
static Result<std::optional<Program>> generate(const KernelRequest& r, int vec) {
  const DType t = type_of(r, 0);
  const ResizeMode mode = TRY(resize_mode(r.node.attrs));
  const bool nearest = mode.kind == ResizeMode::nearest;
  const int bytes = unit_bytes(t);
  if (nearest && mode.coords != ResizeMode::tf_crop ? bytes == 0 || bytes > 8 : !kFloats.contains(t))
    return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(0), &y = dims.out(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x, y}));

  KernelWriter k("resize", 256);
  const bool copies = nearest && mode.coords != ResizeMode::tf_crop;
  const std::string type = copies ? unit_type(bytes) : device_type(t), acc = copies            ? type
                                                                             : t == DType::f64 ? "double"
                                                                                               : "float";
  const int run = vec > 1 || y.empty() ? 1 : power_of_two_in(y.back(), std::min(4, 16 / std::max(copies ? bytes : bits(t) / 8, 1)));
  SymShape loop = y;
  if (!loop.empty()) loop.back() = floor_div(loop.back(), Dim(vec * run));
  Holes h{{"T", type}, {"A", acc}, {"VEC", cat(vec)}, {"RUN", cat(run)}};
  h["X"] = k.input(0, cat("const ", type, "*"));
  h["Y"] = k.output(0, type + "*");
  h["TOTAL"] = unsigned_size(k, product(loop));
  h["SPLIT"] = "";
  auto at = unravel(k, loop, "i", "c", h["SPLIT"]);
  if (vec > 1) {
    h["SPLIT"] += cat("const unsigned channel = ", at.back(), " * ", vec, "u;\n");
    at.back() = "channel";
  } else if (run > 1) {
    h["SPLIT"] += cat("const unsigned first = ", at.back(), " * ", run, "u;\n");
    at.back() = "column";
  }
  const std::vector<Axis> axes =
      TRY(axes_of(r, dims, mode, program, k, t == DType::f64 ? DType::f64 : DType::f32, at, run));
  if (vec > 1)
    for (const Axis& a : axes)
      if (a.dim + 1 == y.size()) return std::optional<Program>();

  SymShape strides = sym_row_major_strides(x), fixed = strides;
  std::string loops, close, place = "base", weight = acc + "(1)", inside;
  h["PROLOGUE"] = h["EACH"] = "";
  for (const Axis& a : axes) {
    const std::string d = cat(a.dim);
    fixed[a.dim] = 0;
    h[run > 1 && a.dim + 1 == y.size() && !a.whole ? "EACH" : "PROLOGUE"] += a.prologue;
    if (a.taps > 1)
      loops += cat(a.taps <= 4 ? "UNROLL\n" : "", "for (int a", d, " = 0; a", d, " < ", a.taps, "; ++a", d,
                   ") {\n");
    else
      loops += "{\n";
    loops += cat("const int at", d, " = ", a.place, ";\n");
    if (!a.weight.empty())
      loops += cat("const ", acc, " w", d, " = ", acc, "(", a.weight, ")",
                   weight == acc + "(1)" ? "" : " * " + weight, ";\n"),
          weight = "w" + d;
    place += cat(" + unsigned(at", d, ") * ", unsigned_size(k, strides[a.dim]));
    if (mode.coords == ResizeMode::tf_crop) inside += cat(inside.empty() ? "" : " && ", "at", d, " >= 0");
    close += "}\n";
  }
  h["BASE"] = offset_of(k, at, fixed);
  h["LOOPS"] = loops, h["CLOSE"] = close, h["PLACE"] = place;
  h["BEGIN"] = run == 1 ? "" : fill("Vec<$T, $RUN> results;\nUNROLL\nfor (int q = 0; q < $RUN; ++q) {\nconst unsigned column = first + q;\n$EACH", h);
  h["END"] = run == 1 ? "" : fill("}\nstore_vec<$RUN>($Y + i * $RUNu, results);\n", h);
  if (copies) {
    h["STORE"] = run == 1 ? fill("store_vec<$VEC>($Y + i * $VECu, load_vec<$VEC>($X + ($PLACE)));", h) : fill("results.v[q] = $X[$PLACE];", h);
    k.body = fill(R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT$PROLOGUE$BEGIN
const unsigned base = $BASE;
$LOOPS
$STORE
$CLOSE$END)",
                  h);
  } else {
    h["W"] = loaded(t, acc, "v.v[j]");
    h["STEP"] = nearest ? fill("acc[j] = $W", h) : fill("acc[j] += $W * " + weight, h);
    h["GUARD"] = inside.empty() ? "" : cat("if (!(", inside, ")) outside = true;\nelse ");
    h["ELSE"] = inside.empty() ? ""
                               : cat("if (outside) for (int j = 0; j < ", vec, "; ++j) acc[j] = ",
                                     acc == "double" ? double_literal(mode.extrapolation)
                                                     : float_literal(mode.extrapolation),
                                     ";\n");
    h["STORE"] = run == 1 ? fill("store_vec<$VEC>($Y + i * $VECu, result);", h) : "results.v[q] = result.v[0];";
    k.body = fill(R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT$PROLOGUE$BEGIN
const unsigned base = $BASE;
$A acc[$VEC];
bool outside = false;
(void)outside;
UNROLL
for (int j = 0; j < $VEC; ++j) acc[j] = 0;
$LOOPS
$GUARD{
  const Vec<$T, $VEC> v = load_vec<$VEC>($X + ($PLACE));
  UNROLL
  for (int j = 0; j < $VEC; ++j) $STEP;
}
$CLOSE
$ELSE
Vec<$T, $VEC> result;
UNROLL
for (int j = 0; j < $VEC; ++j) result.v[j] = narrow<$T>(acc[j]);
$STORE
$END)",
                  h);
  }
  program.variant =
      cat("resize.", r.node.attrs.s("mode"), program.data.empty() ? "" : ".table", vec > 1 ? ".nhwc" : "");
  program.source = kHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(product(loop))}, {256})};
  return std::optional(std::move(program));
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(0), &y = dims.out(0);
  if (!x.empty() && x.back() == y.back() && bits(type_of(r, 0)) >= 8) {
    auto program = TRY(generate(r, vector_width(type_of(r, 0), y.back())));
    if (program) return *program;
  }
  return *TRY(generate(r, 1));
}

extern const Family kResize{"resize", [](const KernelRequest& r) { return op_is(r.node, "Resize"); },
                            can_generate<generate>, generate};

}  // namespace tenon::cuda
