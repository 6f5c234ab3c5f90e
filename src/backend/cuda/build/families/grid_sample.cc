// GridSample over one to three dimensions, in all modes. Places are computed in double, as in the reference,
// so that the weights agree; the sum is float (of f64 double).
#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "GridSample") || ms_op_is(r.node, "GridSample");
}

static const char kHelpers[] = R"(
// Folds x back into [low, high] as between two mirrors.
DEVICE double reflected(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  const double m = fmod(fabs(x - low), 2 * range);
  return low + (m > range ? 2 * range - m : m);
}
)";

// at$D and w$D: the places along dimension D (-1: a zero) and their weights.
static const char kLine[] = R"(int at$D[$TAPS];
$A w$D[$TAPS];
{
  const double g = double($GRID), size = double($SIZE);
  double x = $PLACE;
  if (!(fabs(x) < 1e15)) x = $FAR;
  const double start = $START;
  UNROLL
  for (int k = 0; k < $TAPS; ++k) {
    double i = start + k;
    const double d = fabs(x - i);
    w$D[k] = $A($WEIGHT);
    $PAD
  }
}
)";

static const char kCubic[] =
    "d <= 1 ? ((-0.75 + 2) * d - (-0.75 + 3)) * d * d + 1 : ((-0.75 * d + 5 * 0.75) * d - 8 * 0.75) * d + 4 "
    "* 0.75";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0), tg = type_of(r, 1);
  if (!kFloats.contains(t) || !kFloats.contains(tg)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(0), &y = dims.out(0);
  if (x.size() > 5) return unsupported("more than three spatial dimensions");
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const Attrs& attrs = r.node.attrs;
  const std::string &mode = attrs.s("mode"), &padding = attrs.s("padding_mode");
  const bool align = attrs.i("align_corners") != 0, nearest = mode == "nearest",
             cubic = mode == "cubic" || mode == "bicubic";
  const size_t spatial = x.size() - 2;
  KernelWriter k("grid_sample", 256);
  Holes h{{"T", device_type(t)},
          {"A", t == DType::f64 ? "double" : "float"},
          {"TAPS", nearest ? "1"
                   : cubic ? "4"
                           : "2"}};
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  const std::string grid = k.input(1, cat("const ", device_type(tg), "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  const Dim points = product(y, 2), plane = product(x, 2);
  h["TOTAL"] = unsigned_size(k, product(y));
  h["SPLIT"] = "";
  const auto at = unravel(k, {x[0], x[1], points}, "i", "c", h["SPLIT"]);
  h["BASE"] = offset_of(k, {at[0], at[1]}, {x[1] * plane, plane});
  h["POINT"] = offset_of(k, {at[0], at[2]}, {points, 1});
  h["PLACE"] = align ? "(g + 1) / 2 * (size - 1)" : "((g + 1) * size - 1) / 2";
  h["FAR"] = padding == "zeros" ? "-1e15" : "0";
  h["START"] = nearest ? "rint(x)" : cubic ? "floor(x) - 1" : "floor(x)";
  h["WEIGHT"] = nearest ? "1" : cubic ? kCubic : "1 - d";
  h["LINES"] = "";
  std::string loops, close, place = "base", weight, inside;
  for (size_t d = 0; d < spatial; ++d) {
    h["D"] = cat(d), h["SIZE"] = k.size(x[d + 2]);
    // The grid names the last dimension first.
    h["GRID"] = loaded(tg, tg == DType::f64 ? "double" : "float",
                       cat(grid, "[point * ", spatial, "u + ", spatial - 1 - d, "u]"));
    const std::string clamp = fill("at$D[k] = int(i < 0 ? 0 : i < size ? i : size - 1);", h);
    h["PAD"] = padding == "zeros"    ? fill("at$D[k] = i >= 0 && i < size ? int(i) : -1;", h)
               : padding == "border" ? clamp
               : align               ? "i = reflected(i, 0, size - 1);\n    " + clamp
                                     : "i = reflected(i, -0.5, size - 0.5);\n    " + clamp;
    h["LINES"] += fill(kLine, h);
    loops += fill("UNROLL\nfor (int k$D = 0; k$D < $TAPS; ++k$D) {\n", h);
    close += "}\n";
    SymShape sizes(x.begin() + 2, x.end());
    place += fill(" + unsigned(at$D[k$D]) * ", h) + unsigned_size(k, sym_row_major_strides(sizes)[d]);
    weight += fill(d ? " * w$D[k$D]" : "w$D[k$D]", h);
    inside += fill(d ? " && at$D[k$D] >= 0" : "at$D[k$D] >= 0", h);
  }
  h["LOOPS"] = loops, h["CLOSE"] = close, h["AT"] = place, h["FACTOR"] = weight, h["INSIDE"] = inside;
  h["VALUE"] = loaded(t, h["A"], fill("$X[$AT]", h));
  // A weight of zero hides what is not a number, as the reference does. An image without pixels is not read.
  h["PIXELS"] = unsigned_size(k, plane);
  k.body = fill(R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const unsigned base = $BASE, point = $POINT;
$LINES
$A sum = 0;
$LOOPS
const $A weight = $FACTOR;
if ($INSIDE && weight != 0 && $PIXELS != 0u) sum += weight * $VALUE;
$CLOSE
$Y[i] = narrow<$T>(sum);
)",
                h);
  program.variant = "grid_sample." + mode;
  program.source = kHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(product(y))}, {256})};
  return program;
}

extern const Family kGridSample{"grid_sample", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
