// Reductions over constant axes: sums of floats in float (of f64 in double), of integers in 64 bits. Where
// the innermost dimension is reduced, lanes share an output; else neighbouring lanes have neighbouring
// outputs. A large reduction to few outputs is cut into parts that a second kernel adds in their order.
#include <algorithm>

#include "backend/cuda/build/families/rows.h"

namespace tenon::cuda {

namespace {
// How values are folded. Texts over acc, v (a value) and, in `last`, count.
struct Fold {
  const char* name;
  const char *first, *step, *last;  // first "": the type's lowest or highest value
  const char* functor;              // combines two parts
  bool in_double;                   // integers are reduced in double
};
constexpr Fold kFolds[] = {
    {"ReduceSum", "0", "acc += v;", "acc", "Sum", false},
    {"ReduceMean", "0", "acc += v;", "mean_of(acc, count)", "Sum", false},
    {"GlobalAveragePool", "0", "acc += v;", "mean_of(acc, count)", "Sum", false},
    {"ReduceL1", "0", "acc += v < 0 ? 0 - v : v;", "acc", "Sum", false},
    {"ReduceL2", "0", "acc += v * v;", "root_of(acc)", "Sum", true},
    {"ReduceSumSquare", "0", "acc += v * v;", "acc", "Sum", false},
    {"ReduceLogSum", "0", "acc += v;", "log_of(acc)", "Sum", true},
    {"ReduceProd", "1", "acc *= v;", "acc", "Product", false},
    {"ReduceMax", "", "acc = Max()(acc, v);", "acc", "Max", false},
    {"GlobalMaxPool", "", "acc = Max()(acc, v);", "acc", "Max", false},
    {"ReduceMin", "", "acc = Min()(acc, v);", "acc", "Min", false},
    {"ReduceLogSumExp", "0", "acc += v == top ? 1 : exp_of(v - top);", "top + log_of(acc)", "Sum", true},
};

const Fold* fold_of(const Node& n) {
  for (const Fold& f : kFolds)
    if (op_is(n, f.name)) return &f;
  return nullptr;
}

constexpr char kHelpers[] = R"(
struct Product {
  template <class T>
  DEVICE T operator()(T a, T b) const { return a * b; }
};
DEVICE float root_of(float v) { return sqrtf(v); }
DEVICE double root_of(double v) { return sqrt(v); }
DEVICE float log_of(float v) { return logf(v); }
DEVICE double log_of(double v) { return log(v); }
DEVICE float exp_of(float v) { return expf(v); }
DEVICE double exp_of(double v) { return exp(v); }
DEVICE float mean_of(float sum, unsigned count) { return sum / float(count); }
DEVICE double mean_of(double sum, unsigned count) { return sum / double(count); }
DEVICE long long mean_of(long long sum, unsigned count) { return count ? sum / (long long)count : 0; }
DEVICE unsigned long long mean_of(unsigned long long sum, unsigned count) { return count ? sum / count : 0; }
)";

// What is reduced, as groups of neighbouring dimensions that are kept or reduced together.
struct Groups {
  SymShape kept, kept_strides, reduced, reduced_strides;
  bool inner_reduced = false;
  Dim outputs = 1, count = 1;
};

Groups group(const SymShape& x, const std::vector<bool>& reduced) {
  Groups g;
  SymShape strides = sym_row_major_strides(x);
  int last = -1;
  for (size_t d = 0; d < x.size(); ++d) {
    (reduced[d] ? g.count : g.outputs) = (reduced[d] ? g.count : g.outputs) * x[d];
    if (x[d].is(1)) continue;
    SymShape &dims = reduced[d] ? g.reduced : g.kept,
             &steps = reduced[d] ? g.reduced_strides : g.kept_strides;
    if (last == int(reduced[d]))
      dims.back() = dims.back() * x[d], steps.back() = strides[d];
    else
      dims.push_back(x[d]), steps.push_back(strides[d]);
    last = int(reduced[d]);
  }
  g.inner_reduced = last != 0;
  for (auto [dims, steps] : {std::pair(&g.kept, &g.kept_strides), std::pair(&g.reduced, &g.reduced_strides)})
    if (dims->empty()) dims->push_back(1), steps->push_back(0);
  return g;
}

// How the work is cut: `lanes` threads an output where the innermost dimension is reduced; else `columns`
// threads, each with `vec` neighbouring outputs, by `parts` parts of the reduction. `splits` blocks share an
// output.
struct Cut {
  RowCut row;
  int columns = 32, parts = 8, vec = 1, splits = 1;
};

constexpr int64_t kUnknown = 1 << 16;  // what a size that only the run tells is taken for

Cut cut_for(DType t, const Groups& g, bool may_split) {
  Cut c;
  c.row = cut_rows(t, g.outputs, g.count);
  c.vec = c.row.vec = vector_width(t, (g.inner_reduced ? g.reduced : g.kept).back());
  const int64_t count = g.count.is_const() ? g.count.constant() : kUnknown;
  const int64_t least = smallest(g.outputs);
  int64_t blocks, rounds;  // of all; of each thread over its elements
  if (g.inner_reduced) {
    if (!g.count.is_const()) c.row.lanes = c.row.threads = 256;
    blocks = (least + c.row.rows() - 1) / c.row.rows();
    rounds = count / (c.row.lanes * c.vec);
  } else {
    // Few columns leave threads for many parts, as long as each has a few elements.
    c.vec = std::min(c.vec, 4);
    const int few = std::max(4, power_of_two_from((least + c.vec - 1) / c.vec, 32));
    c.parts = std::min(256 / few, power_of_two_from((count + 3) / 4, 64));
    c.columns = 256 / c.parts;
    blocks = (least / c.vec + c.columns - 1) / c.columns;
    rounds = count / c.parts;
  }
  // The second kernel costs as much as some thirty rounds of the first.
  const bool known = g.outputs.is_const() || g.count.is_const();
  if (may_split && known && rounds >= 32)
    c.splits = int(std::clamp<int64_t>(std::min(132 / std::max<int64_t>(blocks, 1), rounds / 16), 1, 64));
  return c;
}
}  // namespace

static const char kRows[] = R"(
const int lane = threadIdx.x % $LANES;
const unsigned output = blockIdx.x * $ROWSu + threadIdx.x / $LANES;
const bool live = output < $OUTPUTS;
const unsigned o = live ? output : 0u;
$KEPTAT
const unsigned base = $BASE;
$RANGE
$SHARED$TOP
$ACC acc = $FIRST;
for (unsigned r = begin + lane * $VECu; r < end; r += $LANESu * $VECu) {
  $REDUCEDAT
  const Vec<$T, $VEC> w = load_vec<$VEC>($X + base + $STEP);
  UNROLL
  for (int k = 0; k < $VEC; ++k) {
    const $ACC v = $WK;
    $FOLD
  }
}
acc = $REDUCE;
if (live && lane == 0) {
  const unsigned at = output;
  $STORE
}
)";

static const char kTopRows[] = R"($ACC top = $LOWEST;
for (unsigned r = begin + lane * $VECu; r < end; r += $LANESu * $VECu) {
  $REDUCEDAT
  const Vec<$T, $VEC> w = load_vec<$VEC>($X + base + $STEP);
  UNROLL
  for (int k = 0; k < $VEC; ++k) top = Max()(top, $WK);
}
top = $REDUCETOP;
)";

static const char kColumns[] = R"(
const int tx = threadIdx.x % $COLUMNS, ty = threadIdx.x / $COLUMNS;
const unsigned output = (blockIdx.x * $COLUMNSu + tx) * $VECu;
const bool live = output < $OUTPUTS;
const unsigned o = live ? output : 0u;
$KEPTAT
const unsigned base = $BASE;
$RANGE
$TOP
$ACC all[$VEC];
UNROLL
for (int k = 0; k < $VEC; ++k) all[k] = $FIRST;
for (unsigned r = begin + ty; r < end; r += $PARTSu) {
  $REDUCEDAT
  const Vec<$T, $VEC> w = load_vec<$VEC>($X + base + $STEP);
  UNROLL
  for (int k = 0; k < $VEC; ++k) {
    $ACC& acc = all[k];
    const $ACC v = $WK;
    $FOLD
  }
}
$COMBINE
if (live && ty == 0) {
  UNROLL
  for (int k = 0; k < $VEC; ++k) {
    const unsigned at = output + k;
    const $ACC acc = all[k];
    $STORE
  }
}
)";

static const char kTopColumns[] = R"($ACC tops[$VEC];
UNROLL
for (int k = 0; k < $VEC; ++k) tops[k] = $LOWEST;
for (unsigned r = begin + ty; r < end; r += $PARTSu) {
  $REDUCEDAT
  const Vec<$T, $VEC> w = load_vec<$VEC>($X + base + $STEP);
  UNROLL
  for (int k = 0; k < $VEC; ++k) tops[k] = Max()(tops[k], $WK);
}
$COMBINETOP
)";

static std::string combine(const std::string& values, const std::string& functor, const Holes& h) {
  Holes g = h;
  g["VALUES"] = values;
  g["FUNCTOR"] = functor;
  return fill(R"(__shared__ $ACC part_$VALUES[$PARTS][$COLUMNS * $VEC];
UNROLL
for (int k = 0; k < $VEC; ++k) part_$VALUES[ty][tx * $VEC + k] = $VALUES[k];
__syncthreads();
UNROLL
for (int k = 0; k < $VEC; ++k) {
  $VALUES[k] = part_$VALUES[0][tx * $VEC + k];
  for (int p = 1; p < $PARTS; ++p) $VALUES[k] = $FUNCTOR()($VALUES[k], part_$VALUES[p][tx * $VEC + k]);
}
)",
              g);
}

// Adds up the parts of each output.
static const char kFinish[] = R"(
const unsigned at = blockIdx.x * 256u + threadIdx.x;
if (at >= $OUTPUTS) return;
$ACC acc = $PARTIAL[at];
for (int s = 1; s < $SPLITS; ++s) acc = $FUNCTOR()(acc, $PARTIAL[s * $OUTPUTS + at]);
$RESULT
)";

static Result<Groups> groups_of(const KernelRequest& r, const SymShape& x) {
  std::vector<bool> reduced(x.size(), false);
  if (r.node.op->name.starts_with("Global")) {
    for (size_t d = 2; d < x.size(); ++d) reduced[d] = true;
    return group(x, reduced);
  }
  const auto axes = constant_ints(r, 1);
  const bool none = present(r, 1) && !axes && r.graph.info(r.node.inputs[1]).shape == SymShape{0};
  if (present(r, 1) && !axes && !none) return unsupported("its axes are computed at run time");
  if (!axes || axes->empty())
    reduced.assign(x.size(), !r.node.attrs.i("noop_with_empty_axes"));
  else
    for (int64_t a : *axes) reduced[axis_of(a, x.size())] = true;
  return group(x, reduced);
}

// The lowest (highest) value of the type, as the reduction over nothing has it.
static std::string extreme(DType t, const std::string& acc, bool lowest) {
  if (is_float(t)) return cat(acc, lowest ? "(-INFINITE)" : "(INFINITE)");
  if (t == DType::boolean || is_unsigned_int(t)) {
    const int b = t == DType::boolean ? 1 : bits(t);
    return lowest ? "0" : b == 64 ? "~0ull" : cat((uint64_t(1) << b) - 1, "ull");
  }
  const std::string most = cat("(long long)(~0ull >> ", 65 - bits(t), ")");
  return lowest ? cat("(-1 - ", most, ")") : most;
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const Fold& fold = *fold_of(r.node);
  const DType t = type_of(r, 0);
  if (compute_type(t).empty() || device_type(t).empty()) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  Program program;
  TRY(index_with_32_bits(program.recipe, {dims.in(0)}));
  const Groups g = TRY(groups_of(r, dims.in(0)));
  const bool exponents = fold.name == std::string_view("ReduceLogSumExp");
  const Cut cut = cut_for(t, g, !exponents);
  const std::string type = device_type(t);
  const std::string acc = is_float(t)        ? (t == DType::f64 ? "double" : "float")
                          : fold.in_double   ? "double"
                          : is_signed_int(t) ? "long long"
                                             : "unsigned long long";

  KernelWriter k("reduce", g.inner_reduced ? cut.row.threads : 256);
  Holes h;
  h["T"] = type, h["ACC"] = acc, h["FOLD"] = fold.step, h["FUNCTOR"] = fold.functor;
  h["X"] = k.input(0, cat("const ", type, "*"));
  h["LOWEST"] = acc + "(-INFINITE)";
  h["FIRST"] = *fold.first ? fold.first : extreme(t, acc, fold.functor == std::string_view("Max"));
  h["WK"] = loaded(t, acc, "w.v[k]");
  add_row_cut(h, cut.row, acc);
  h["VEC"] = cat(cut.vec), h["COLUMNS"] = cat(cut.columns), h["PARTS"] = cat(cut.parts),
  h["SPLITS"] = cat(cut.splits);
  h["OUTPUTS"] = unsigned_size(k, g.outputs);
  h["COUNT"] = unsigned_size(k, g.count);
  h["KEPTAT"] = h["REDUCEDAT"] = "";
  h["BASE"] = offset_of(k, unravel(k, g.kept, "o", "a", h["KEPTAT"]), g.kept_strides);
  h["STEP"] = offset_of(k, unravel(k, g.reduced, "r", "b", h["REDUCEDAT"]), g.reduced_strides);
  h["RANGE"] =
      cut.splits == 1
          ? fill("const unsigned begin = 0, end = live ? $COUNT : 0u;", h)
          : fill(R"(const unsigned chunk = ($COUNT / $SPLITSu / 16u + 1u) * 16u, begin = blockIdx.y * chunk;
const unsigned end = !live ? 0u : begin + chunk < $COUNT ? begin + chunk : $COUNT;)",
                 h);
  h["REDUCE"] = reduce_row(cut.row, "acc", fold.functor, 0);
  h["REDUCETOP"] = reduce_row(cut.row, "top", "Max", 1);
  h["COMBINE"] = cut.parts == 1 ? "" : combine("all", fold.functor, h);
  h["COMBINETOP"] = cut.parts == 1 ? "" : combine("tops", "Max", h);
  h["TOP"] = exponents ? fill(g.inner_reduced ? kTopRows : kTopColumns, h) : "";
  if (exponents && !g.inner_reduced) h["FOLD"] = "const " + acc + " top = tops[k];\n    " + h["FOLD"];

  // What becomes of an output's value.
  const auto result = [&](KernelWriter& writer) {
    const std::string y = writer.output(0, type + "*"),
                      count = cat("const unsigned count = ", h["COUNT"], ";\n");
    std::string value = fold.last;
    if (exponents)
      value = cat("(top == ", h["LOWEST"], " || top == -(", h["LOWEST"], ") ? top : ", value, ")");
    if (!is_float(t) && exponents)
      value = cat("(fabs(", value, ") < 9e18 ? to_i64(", value, ") : 0)");
    else if (!is_float(t) && fold.in_double)
      value = cat("to_i64(", value, ")");
    return cat(count, y, "[at] = narrow<", type, ">(", value, ");");
  };
  if (cut.splits > 1) {
    h["PARTIAL"] = k.scratch(0, acc + "*");
    h["STORE"] = fill("$PARTIAL[blockIdx.y * $OUTPUTS + at] = acc;", h);
  } else {
    h["STORE"] =
        cat(exponents && !g.inner_reduced ? "const " + acc + " top = tops[k];\n    " : "", result(k));
  }
  k.body = fill(g.inner_reduced ? kRows : kColumns, h);
  program.source = kHelpers + k.text();
  const Dim blocks =
      g.inner_reduced ? blocks_for(g.outputs, cut.row.rows()) : blocks_for(g.outputs, cut.columns * cut.vec);
  program.recipe.launches = {k.launch({blocks, cut.splits}, {g.inner_reduced ? cut.row.threads : 256})};
  if (cut.splits > 1) {
    KernelWriter f("reduce_finish", 256);
    h["PARTIAL"] = f.scratch(0, cat("const ", acc, "*"));
    h["OUTPUTS"] = unsigned_size(f, g.outputs), h["COUNT"] = unsigned_size(f, g.count);
    h["RESULT"] = result(f);
    f.body = fill(kFinish, h);
    program.source += f.text();
    program.recipe.launches.push_back(f.launch({blocks_for(g.outputs)}, {256}));
    program.recipe.scratch = g.outputs * Dim(8 * cut.splits);
  }
  program.variant = cat("reduce.", g.inner_reduced ? "rows" : "columns", cut.splits > 1 ? ".split" : "");
  return program;
}

extern const Family kReduce{"reduce", [](const KernelRequest& r) { return fold_of(r.node) != nullptr; },
                            can_generate<generate>, generate};

}  // namespace tenon::cuda
